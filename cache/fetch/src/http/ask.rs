//! A request without a body: its address, range and credentials.

use crate::url::Url;

/// Credentials for a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Those that are configured for it.
    #[default]
    Server,
    /// The same, for an OCI registry, whose challenge names a token service.
    Registry,
    /// None, because another server chose this address.
    Nobody,
}

/// A request without a body.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// The address.
    pub url: &'a Url,
    /// Accepted media types.
    pub accept: Option<&'static str>,
    /// The first requested byte; 0 for the whole resource.
    pub from: u64,
    /// The version that the bytes before `from` belong to.
    pub if_range: Option<&'a str>,
    /// Credentials for the server.
    pub access: Access,
    /// True for a `HEAD` request, which returns no bytes.
    pub is_head: bool,
}

impl<'a> Ask<'a> {
    /// Requests the whole resource at an address.
    pub fn whole(url: &'a Url) -> Self {
        Self { url, accept: None, from: 0, if_range: None, access: Access::Server, is_head: false }
    }
}
