//! What kind of server an address names.

use std::path::PathBuf;

use mc_fetch::url::Url;

use crate::error::RemoteError;
use crate::grpc::settings::Place;

/// What an address may begin with.
const SCHEMES: &str = "`file://`, `http://`, `https://`, `grpc://`, `grpcs://` or `unix:`";

/// Where a team's cache is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A folder that all share: `file:///mnt/team/mc`.
    Folder(PathBuf),
    /// A server that keeps `/ac` and `/cas`, as Bazel's HTTP caches do.
    Http(Url),
    /// A server that speaks the Remote Execution API: `grpc://`, `grpcs://`, `unix:`.
    Grpc(Place),
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
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if !path.starts_with('/') {
                return Err(wrong("expected a path from the root, as in `unix:/run/cache.sock`"));
            }
            return Ok(Self::Grpc(Place::Unix(path.to_owned())));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(wrong(&format!("expected {SCHEMES} and a place")));
        };
        let over = |scheme: &str| {
            Url::parse(&format!("{scheme}://{rest}")).map_err(|error| wrong(&error.to_string()))
        };
        match scheme {
            "grpc" => over("http").map(Place::Plain).map(Self::Grpc),
            "grpcs" => over("https").map(Place::Tls).map(Self::Grpc),
            "file" if rest.starts_with('/') => Ok(Self::Folder(PathBuf::from(rest))),
            "file" => Err(wrong("expected a path from the root, as in `file:///mnt/team/mc`")),
            "http" | "https" => Url::parse(text).map(Self::Http).map_err(|error| wrong(&error.to_string())),
            _ => Err(wrong(&format!("expected {SCHEMES}"))),
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
        assert!(told("gopher://a").starts_with("`gopher://a`: expected `file://`, `http://`, "));
        assert!(told("ftp://me:pass@word@host/").starts_with("`host/`: expected "));
        assert!(told("/mnt/a").ends_with("or `unix:` and a place"));
        assert_eq!(told("unix:a"), "`unix:a`: expected a path from the root, as in `unix:/run/cache.sock`");
        let shown = |text: &str| match Address::parse(text).unwrap() {
            Address::Grpc(place) => place.to_string(),
            other => format!("{other:?}"),
        };
        for text in ["grpc://127.0.0.1:8980", "grpcs://cache.example", "unix:/run/cache.sock"] {
            assert_eq!(shown(text), text);
        }
        assert_eq!(shown("unix:///run/cache.sock"), "unix:/run/cache.sock");
    }
}
