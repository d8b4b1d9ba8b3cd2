//! The URL of a server, with its original text.

use mc_remote::address::Address;
use mc_remote::error::RemoteError;

/// The URL of a server. The original text is kept, because records of the server's promises and attesters of its
/// workers' results are keyed by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    text: String,
    address: Address,
}

impl Server {
    /// Parses a URL.
    ///
    /// # Errors
    /// If it names an unknown kind of server.
    pub fn parse(text: &str) -> Result<Self, RemoteError> {
        Ok(Self { text: text.to_owned(), address: Address::parse(text)? })
    }

    /// The URL as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The kind of server, and its location.
    pub fn address(&self) -> &Address {
        &self.address
    }
}
