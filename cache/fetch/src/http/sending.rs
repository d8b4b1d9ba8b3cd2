//! A request that brings something to a server, or removes something there.

use crate::http::ask::Access;
use crate::url::Url;

/// The use that the server makes of what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// It takes the place of what is there.
    Put,
    /// The server decides what becomes of it.
    Post,
    /// It is added to what is there.
    Patch,
    /// Nothing is sent; what is there goes.
    Delete,
}

/// A request that brings something to a server.
#[derive(Clone, Copy, Debug)]
pub struct Sending<'a> {
    /// The use that the server makes of it.
    pub verb: Verb,
    /// The address.
    pub url: &'a Url,
    /// Headers that anybody may see.
    pub headers: &'a [(&'a str, &'a str)],
    /// Credentials that the server is given.
    pub access: Access,
}

impl<'a> Sending<'a> {
    /// To a server that is not a registry, with nothing said about it.
    pub fn to(verb: Verb, url: &'a Url) -> Self {
        Self { verb, url, headers: &[], access: Access::Server }
    }
}
