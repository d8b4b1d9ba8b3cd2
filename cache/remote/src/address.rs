//! What kind of server an address names.

use std::path::PathBuf;

use mc_fetch::url::Url;

use crate::error::RemoteError;

/// Where a team's cache is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A folder that all share: `file:///mnt/team/mc`.
    Folder(PathBuf),
    /// A server that keeps `/ac` and `/cas`, as Bazel's HTTP caches do.
    Http(Url),
}

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// When it names no kind of server that we know.
    pub fn parse(text: &str) -> Result<Self, RemoteError> {
        let wrong = |reason: &str| RemoteError::Address {
            address: text.rsplit_once('@').map_or(text, |(_, rest)| rest).to_owned(),
            reason: reason.to_owned(),
        };
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(wrong("expected `file://`, `http://` or `https://` and a place"));
        };
        match scheme {
            "file" if rest.starts_with('/') => Ok(Self::Folder(PathBuf::from(rest))),
            "file" => Err(wrong("expected a path from the root, as in `file:///mnt/team/mc`")),
            "http" | "https" => Url::parse(text).map(Self::Http).map_err(|error| wrong(&error.to_string())),
            _ => Err(wrong("expected `file://`, `http://` or `https://`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_what_kind_of_server_it_is() {
        assert_eq!(Address::parse("file:///mnt/a").unwrap(), Address::Folder(PathBuf::from("/mnt/a")));
        assert!(matches!(Address::parse("https://cache.example/mc").unwrap(), Address::Http(_)));
        let told = |text: &str| Address::parse(text).unwrap_err().to_string();
        assert_eq!(
            told("file://a"),
            "`file://a`: expected a path from the root, as in `file:///mnt/team/mc`"
        );
        assert_eq!(told("gopher://a"), "`gopher://a`: expected `file://`, `http://` or `https://`");
        assert_eq!(told("ftp://me:pass@word@host/"), "`host/`: expected `file://`, `http://` or `https://`");
        assert_eq!(told("/mnt/a"), "`/mnt/a`: expected `file://`, `http://` or `https://` and a place");
    }
}
