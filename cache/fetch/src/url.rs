//! URLs, limited to what `http` and `https` need.
//!
//! A URL is displayed without its query, because storage servers put signatures there that grant access.

use std::fmt;

use crate::local_addresses::is_near;

/// A URL: `http` or `https`, host, port, path and query.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    is_https: bool,
    /// In lower case; an IPv6 address has its brackets.
    host: String,
    port: u16,
    /// Path and query, starting with `/`.
    target: String,
}

/// Shorter query values are assumed to be numbers and words.
const SHORTEST_SECRET: usize = 16;

/// A text that is not a usable URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("The address {what}")]
pub struct UrlError {
    what: &'static str,
}

const fn wrong(what: &'static str) -> UrlError {
    UrlError { what }
}

impl Url {
    /// Parses an absolute URL. Drops a fragment; rejects a user name or password.
    ///
    /// # Errors
    /// [`UrlError`], which does not repeat the URL, because it may hold a secret.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let text = text.split('#').next().unwrap_or_default();
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong("holds a space or a character that is not ASCII"));
        }
        let (scheme, rest) = text.split_once("://").ok_or(wrong("is not absolute"))?;
        let is_https = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(wrong("is neither `http` nor `https`")),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        if authority.contains('@') {
            return Err(wrong("holds a name or a password; use `~/.netrc` or a credential helper"));
        }
        let (host, port) = host_and_port(authority)?;
        let target = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
        let port = port.unwrap_or(if is_https { 443 } else { 80 });
        Ok(Self { is_https, host: host.to_ascii_lowercase(), port, target })
    }

    /// Resolves a `Location` header relative to this URL.
    ///
    /// # Errors
    /// [`UrlError`], same as [`Self::parse`].
    pub fn join(&self, location: &str) -> Result<Self, UrlError> {
        let location = location.trim();
        if let Some(rest) = location.strip_prefix("//") {
            return Self::parse(&format!("{}://{rest}", self.scheme()));
        }
        if location.contains("://") && location.find("://") < location.find(['/', '?', '#']) {
            return Self::parse(location);
        }
        if location.starts_with('/') {
            return Self::parse(&format!("{}{location}", self.root()));
        }
        let folder = self.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        Self::parse(&format!("{}{folder}/{location}", self.root()))
    }

    /// The URL of a file below this folder, with special characters escaped. It keeps the folder's query, which may
    /// grant access.
    pub fn below(&self, name: &str) -> Self {
        let slash = if self.path().ends_with('/') { "" } else { "/" };
        let query = &self.target[self.path().len()..];
        Self { target: format!("{}{slash}{}{query}", self.path(), escaped(name)), ..self.clone() }
    }

    /// The same URL with an added query.
    #[must_use]
    pub fn with_query(&self, pairs: &[(&str, &str)]) -> Self {
        let pair = |(name, value): &(&str, &str)| format!("{name}={}", escaped_all(value));
        let added = pairs.iter().map(pair).collect::<Vec<_>>().join("&");
        let mark = if self.target.contains('?') { '&' } else { '?' };
        Self { target: format!("{}{mark}{added}", self.target), ..self.clone() }
    }

    /// Returns true if the connection is encrypted.
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    /// The host, without a port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns true if the host is written as a loopback or link-local address.
    pub(crate) fn is_near(&self) -> bool {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        bare.parse().is_ok_and(is_near) || self.host == "localhost" || self.host.ends_with(".localhost")
    }

    /// Checks that this server may redirect to another URL.
    ///
    /// # Errors
    /// The reason for refusing the redirect.
    pub fn may_lead_to(&self, next: &Self) -> Result<(), String> {
        if self.is_https && !next.is_https {
            return Err(format!("from `https` to `{next}`, which is not encrypted"));
        }
        if next.is_near() && !self.is_near() {
            return Err(format!("to `{next}`, which is a loopback or link-local address"));
        }
        Ok(())
    }

    /// Returns true if the host is this machine.
    pub fn is_loopback(&self) -> bool {
        let is_v4 = self.host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback());
        is_v4 || self.host == "localhost" || self.host == "[::1]"
    }

    /// Returns true if the connection cannot be overheard.
    pub fn is_private(&self) -> bool {
        self.is_https || self.is_loopback()
    }

    /// Returns true if both URLs have the same scheme, host and port.
    pub fn is_same_server(&self, other: &Self) -> bool {
        (self.is_https, &self.host, self.port) == (other.is_https, &other.host, other.port)
    }

    /// Scheme, host and port: `https://host`.
    pub fn root(&self) -> String {
        format!("{}://{}", self.scheme(), self.authority())
    }

    /// Host, and the port unless it is the scheme's default: `host:8080`.
    pub fn authority(&self) -> String {
        match (self.is_https, self.port) {
            (true, 443) | (false, 80) => self.host.clone(),
            _ => format!("{}:{}", self.host, self.port),
        }
    }

    /// The complete URL, including its secrets.
    pub(crate) fn full(&self) -> String {
        format!("{}{}", self.root(), self.target)
    }

    /// Values of the query that are long enough to be signatures or keys.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        let values = self.query().split('&').filter_map(|pair| Some(pair.split_once('=')?.1));
        values.filter(|value| value.len() >= SHORTEST_SECRET)
    }

    /// The path on the server, starting with `/`.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(&self.target, |(path, _)| path)
    }

    /// The query, which may hold secrets; empty if there is none.
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// The same URL without its query.
    #[must_use]
    pub fn without_query(&self) -> Self {
        Self { target: self.path().to_owned(), ..self.clone() }
    }

    fn scheme(&self) -> &'static str {
        if self.is_https { "https" } else { "http" }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.root(), self.path(), if self.target.contains('?') { "?…" } else { "" })
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

fn host_and_port(authority: &str) -> Result<(&str, Option<u16>), UrlError> {
    let port = |text: &str| match text {
        "" => Ok(None),
        digits => digits.parse().map(Some).map_err(|_| wrong("has a port that is not a number")),
    };
    let (host, port) = if authority.starts_with('[') {
        let end = authority.find(']').ok_or(wrong("has a `[` without a `]`"))? + 1;
        (&authority[..end], port(authority[end..].strip_prefix(':').unwrap_or_default())?)
    } else {
        match authority.rsplit_once(':') {
            Some((host, digits)) => (host, port(digits)?),
            None => (authority, None),
        }
    };
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b".-_[]:".contains(&byte);
    if host.is_empty() || !host.bytes().all(is_letter) {
        return Err(wrong("has no valid host"));
    }
    Ok((host, port))
}

/// Escapes all characters of a path except unreserved ones and `/`.
fn escaped(path: &str) -> String {
    escape(path, b"/")
}

pub(crate) fn escaped_all(text: &str) -> String {
    escape(text, b"")
}

fn escape(text: &str, kept: &[u8]) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn url_parts_are_parsed() {
        let address = url("https://Host.example:8443/a/b?token=secret#part");
        assert_eq!(address.full(), "https://host.example:8443/a/b?token=secret");
        assert_eq!(address.to_string(), "https://host.example:8443/a/b?…");
        assert_eq!((address.path(), address.query()), ("/a/b", "token=secret"));
        assert_eq!(address.without_query().full(), "https://host.example:8443/a/b");
        assert_eq!(
            (address.authority(), url("http://h:80").authority()),
            ("host.example:8443".into(), "h".into())
        );
        assert!(!format!("{address:?}").contains("secret"));
        assert_eq!(url("http://h").full(), "http://h/");
        assert!(url("http://[::1]:80/").is_loopback() && url("http://127.8.8.8/").is_loopback());
        assert!(!url("http://127.evil.example/").is_loopback());
        for wrong in [
            "",
            "/a",
            "ftp://h/",
            "https://",
            "https://a:b@h/",
            "https://h:99999/",
            "https://h /",
            "https://[::1/",
        ] {
            assert!(Url::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_location_is_resolved_relative_to_its_source() {
        let from = url("https://h/a/b?c");
        for (location, expected) in [
            ("https://other/x", "https://other/x"),
            ("//other/x", "https://other/x"),
            ("/x", "https://h/x"),
            ("x", "https://h/a/x"),
            ("/x?next=http://y", "https://h/x?next=http://y"),
        ] {
            assert_eq!(from.join(location).unwrap().full(), expected);
        }
    }

    #[test]
    fn redirects_to_local_addresses_or_out_of_https_are_refused() {
        let may = |from: &str, to: &str| url(from).may_lead_to(&url(to)).is_ok();
        assert!(may("https://h/", "https://other/") && may("http://h/", "https://other/"));
        assert!(may("http://127.0.0.1:1/", "http://localhost:2/") && may("http://h/", "http://10.0.0.1/"));
        assert!(!may("https://h/", "http://h/"));
        for near in [
            "127.0.0.1",
            "localhost",
            "a.localhost",
            "169.254.169.254",
            "[::1]",
            "[fe80::1]",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(!may("http://h/", &format!("http://{near}/")), "{near}");
            assert!(!may("https://h/", &format!("https://{near}:1/")), "{near}");
        }
    }

    #[test]
    fn names_are_escaped() {
        assert_eq!(url("https://h/a/").below("b/c d?#%.txt").full(), "https://h/a/b/c%20d%3F%23%25.txt");
        assert_eq!(url("https://h/a?sig=s").below("b?").full(), "https://h/a/b%3F?sig=s");
        assert_eq!(
            url("https://h/a").with_query(&[("scope", "a:b/c")]).full(),
            "https://h/a?scope=a%3Ab%2Fc"
        );
    }
}
