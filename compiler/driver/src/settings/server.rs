//! The address of a server, with its text.

use mc_remote::address::Address;
use mc_remote::error::RemoteError;

/// The address of a server. The text is kept beside it, because notes about what a server promised, and vouchers for what
/// its workers made, are kept under the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    text: String,
    address: Address,
}

impl Server {
    /// Reads an address.
    ///
    /// # Errors
    /// If it names no known kind of server.
    pub fn parse(text: &str) -> Result<Self, RemoteError> {
        Ok(Self { text: text.to_owned(), address: Address::parse(text)? })
    }

    /// The address as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The kind of server, and its place.
    pub fn address(&self) -> &Address {
        &self.address
    }
}
