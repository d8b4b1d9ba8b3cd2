//! A request that only asks: the address, which bytes, and which credentials go with it.

use crate::url::Url;

/// Credentials that a server is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Those that are known for it.
    #[default]
    Server,
    /// The same, and it is an OCI registry, which says where tokens come from.
    Registry,
    /// None: another server sent us there.
    Nobody,
}

/// A request for what is at an address.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// The address.
    pub url: &'a Url,
    /// Media types that are understood.
    pub accept: Option<&'static str>,
    /// The first byte wanted, when it is not the first of all.
    pub from: u64,
    /// The version that the bytes before `from` are of.
    pub if_range: Option<&'a str>,
    /// Credentials that the server is given.
    pub access: Access,
    /// True if only the existence of the resource is asked for, not its bytes.
    pub is_head: bool,
}

impl<'a> Ask<'a> {
    /// Everything at an address.
    pub fn whole(url: &'a Url) -> Self {
        Self { url, accept: None, from: 0, if_range: None, access: Access::Server, is_head: false }
    }
}
