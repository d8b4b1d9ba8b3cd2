//! A request that uploads or deletes something.

use crate::http::ask::Access;
use crate::url::Url;

/// The HTTP method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Replaces the resource.
    Put,
    /// Submits data; the server decides about its use.
    Post,
    /// Adds to the resource.
    Patch,
    /// Removes the resource; has no body.
    Delete,
}

/// A request that uploads or deletes something.
#[derive(Clone, Copy, Debug)]
pub struct Sending<'a> {
    /// The HTTP method.
    pub verb: Verb,
    /// The address.
    pub url: &'a Url,
    /// Headers without secrets.
    pub headers: &'a [(&'a str, &'a str)],
    /// Credentials for the server.
    pub access: Access,
}

impl<'a> Sending<'a> {
    /// A request without headers, to a server that is not a registry.
    pub fn to(verb: Verb, url: &'a Url) -> Self {
        Self { verb, url, headers: &[], access: Access::Server }
    }
}
