//! Kinds of servers, by address.

use std::path::PathBuf;

use mc_fetch::origins::oci;
use mc_fetch::url::Url;

use crate::error::RemoteError;
use crate::transports::grpc::settings::Place;

/// Schemes of an address.
const SCHEMES: &str = "`file://`, `http://`, `https://`, `s3://`, `oci://`, `grpc://`, `grpcs://` or `unix:`";

/// Address of a remote cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A shared folder: `file:///mnt/team/mc`.
    Folder(PathBuf),
    /// A server with `/ac` and `/cas`, like Bazel's HTTP caches.
    Http(Url),
    /// A folder of a bucket: `s3://bucket/folder`.
    S3 {
        /// The bucket.
        bucket: String,
        /// The folder in it; empty for the bucket itself.
        prefix: String,
    },
    /// A repository of a registry: `oci://registry/repository`.
    Oci {
        /// The registry: a host and an optional port.
        registry: String,
        /// The repository.
        repository: String,
    },
    /// A server with the Remote Execution API: `grpc://`, `grpcs://`, `unix:`.
    Grpc(Place),
}

impl Address {
    /// Parses an address.
    ///
    /// # Errors
    /// Fails if the address does not name a supported kind of server.
    pub fn parse(text: &str) -> Result<Self, RemoteError> {
        let wrong = |reason: &str| RemoteError::Address {
            address: without_secrets(text).to_owned(),
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
            return Err(wrong(&format!("expected {SCHEMES} and a location")));
        };
        let over = |scheme: &str| {
            Url::parse(&format!("{scheme}://{rest}")).map_err(|error| wrong(&error.to_string()))
        };
        match scheme {
            "grpc" => over("http").map(Place::Plain).map(Self::Grpc),
            "grpcs" => over("https").map(Place::Tls).map(Self::Grpc),
            "file" if rest.starts_with('/') => Ok(Self::Folder(PathBuf::from(rest))),
            "file" => Err(wrong("expected a path from the root, as in `file:///mnt/team/mc`")),
            "s3" => {
                let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
                if bucket.is_empty() || !bucket.bytes().all(is_letter) {
                    return Err(wrong("expected a bucket and a folder in it, as in `s3://team-cache/mc`"));
                }
                Ok(Self::S3 { bucket: bucket.to_owned(), prefix: prefix.trim_matches('/').to_owned() })
            }
            "oci" => match rest.trim_end_matches('/').split_once('/') {
                Some((registry, repository)) if is_repository(repository) && oci::root(registry).is_ok() => {
                    Ok(Self::Oci { registry: registry.to_owned(), repository: repository.to_owned() })
                }
                _ => Err(wrong(
                    "expected a registry and a repository without a tag, as in `oci://ghcr.io/team/mc-cache`",
                )),
            },
            "http" | "https" => Url::parse(text).map(Self::Http).map_err(|error| wrong(&error.to_string())),
            _ => Err(wrong(&format!("expected {SCHEMES}"))),
        }
    }
}

/// An address without user name, password and query, which may hold secrets.
fn without_secrets(address: &str) -> &str {
    let address = address.split('?').next().unwrap_or_default();
    address.rsplit_once('@').map_or(address, |(_, rest)| rest)
}

/// Returns true if a registry allows a repository of this name.
fn is_repository(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    name.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && part.bytes().all(is_letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_selects_the_kind_of_server() {
        assert_eq!(Address::parse("file:///mnt/a").unwrap(), Address::Folder(PathBuf::from("/mnt/a")));
        assert!(matches!(Address::parse("https://cache.example/mc").unwrap(), Address::Http(_)));
        let bucket =
            |bucket: &str, prefix: &str| Address::S3 { bucket: bucket.into(), prefix: prefix.into() };
        assert_eq!(Address::parse("s3://team/a/b/").unwrap(), bucket("team", "a/b"));
        assert_eq!(Address::parse("s3://team").unwrap(), bucket("team", ""));
        let repository = |registry: &str, repository: &str| Address::Oci {
            registry: registry.into(),
            repository: repository.into(),
        };
        assert_eq!(
            Address::parse("oci://ghcr.io/team/mc-cache").unwrap(),
            repository("ghcr.io", "team/mc-cache")
        );
        assert_eq!(Address::parse("oci://127.0.0.1:5000/mc/").unwrap(), repository("127.0.0.1:5000", "mc"));
        for wrong in
            ["oci://ghcr.io", "oci://ghcr.io/a:latest", "oci://ghcr.io/a/../b", "oci:///a", "oci://g h/a"]
        {
            assert!(Address::parse(wrong).is_err(), "{wrong}");
        }
        let reported = |text: &str| Address::parse(text).unwrap_err().to_string();
        assert_eq!(
            reported("file://a"),
            "`file://a`: expected a path from the root, as in `file:///mnt/team/mc`"
        );
        assert_eq!(
            reported("s3:///a"),
            "`s3:///a`: expected a bucket and a folder in it, as in `s3://team-cache/mc`"
        );
        assert!(reported("gopher://a").starts_with("`gopher://a`: expected `file://`, `http://`, "));
        assert!(reported("ftp://me:pass@word@host/").starts_with("`host/`: expected "));
        assert!(reported("https://me@host/a?sig=secret").starts_with("`host/a`: "));
        assert!(reported("/mnt/a").ends_with("or `unix:` and a location"));
        assert_eq!(
            reported("unix:a"),
            "`unix:a`: expected a path from the root, as in `unix:/run/cache.sock`"
        );
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
