//! Selection of the proxy for a server, from `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, as other programs do it.
//!
//! An entry of `NO_PROXY` is `*`, a host name, which includes its subdomains (`example.com`, `.example.com`,
//! `*.example.com`), an address, or a network (`10.0.0.0/8`); names and addresses may have a port. This machine never
//! needs a proxy. The caller reads the variables.

use std::fmt;
use std::net::IpAddr;

use crate::url::Url;

/// The proxies and their exceptions.
#[derive(Clone, Default)]
pub struct Proxies {
    /// The proxy for `https`: `http://host:port`.
    pub https: Option<String>,
    /// The proxy for `http`.
    pub http: Option<String>,
    /// Servers without a proxy, separated by commas.
    pub none: String,
}

impl fmt::Debug for Proxies {
    // The addresses may hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (https, http) = (self.https.is_some(), self.http.is_some());
        write!(f, "Proxies(https: {https}, http: {http}, none: `{}`)", self.none)
    }
}

/// Returns true if a server is reached without a proxy.
///
/// * `none`: the value of `NO_PROXY`
pub(crate) fn is_direct(none: &str, url: &Url) -> bool {
    let mut entries = none.split([',', ' ']).filter(|entry| !entry.is_empty());
    url.is_loopback() || entries.any(|entry| matches(&entry.to_ascii_lowercase(), url))
}

fn matches(entry: &str, url: &Url) -> bool {
    if entry == "*" {
        return true;
    }
    let address = bare(url.host()).parse::<IpAddr>().ok();
    if let Some((network, n_bits)) = entry.split_once('/') {
        return address.is_some_and(|address| is_within(address, network, n_bits));
    }
    let (host, port) = host_and_port(entry);
    if port.is_some_and(|port| port != url.port().to_string()) {
        return false;
    }
    if let Some(address) = address {
        return bare(host).parse() == Ok(address);
    }
    let name = host.trim_start_matches('*').trim_start_matches('.');
    let below = url.host().strip_suffix(name);
    !name.is_empty() && below.is_some_and(|below| below.is_empty() || below.ends_with('.'))
}

/// An IPv6 address contains colons, and needs brackets if a port follows.
fn host_and_port(entry: &str) -> (&str, Option<&str>) {
    match entry.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (entry, None),
    }
}

fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

/// Returns true if an address is in a network.
fn is_within(address: IpAddr, network: &str, n_bits: &str) -> bool {
    let Ok(n_bits) = n_bits.parse::<u32>() else { return false };
    match (address, network.parse()) {
        (IpAddr::V4(address), Ok(IpAddr::V4(network))) if n_bits <= 32 => {
            (address.to_bits() ^ network.to_bits()).leading_zeros() >= n_bits
        }
        (IpAddr::V6(address), Ok(IpAddr::V6(network))) if n_bits <= 128 => {
            (address.to_bits() ^ network.to_bits()).leading_zeros() >= n_bits
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_is_interpreted_like_in_other_programs() {
        let is_direct = |none: &str, url: &str| is_direct(none, &Url::parse(url).unwrap());
        for (none, url) in [
            ("", "http://127.0.0.1:8080/"),
            ("", "https://localhost/"),
            ("*", "https://cache.example/"),
            ("cache.example", "https://cache.example/"),
            ("example", "https://cache.example/"),
            ("other, .Example", "https://cache.example/"),
            ("*.example", "https://cache.example/"),
            ("cache.example:443", "https://cache.example/"),
            ("10.1.2.3", "http://10.1.2.3/"),
            ("10.1.2.3:8080", "http://10.1.2.3:8080/"),
            ("10.0.0.0/8", "http://10.1.2.3/"),
            ("0.0.0.0/0", "http://10.1.2.3/"),
            ("fd00::1", "http://[fd00::1]/"),
            ("[fd00::1]:80", "http://[fd00::1]/"),
            ("fd00::/8", "http://[fd00::1]/"),
        ] {
            assert!(is_direct(none, url), "{none} {url}");
        }
        for (none, url) in [
            ("", "https://cache.example/"),
            ("ache.example", "https://cache.example/"),
            ("cache.example", "https://example/"),
            ("cache.example:80", "https://cache.example/"),
            (".", "https://cache.example/"),
            ("10.1.2", "http://10.1.2.3/"),
            ("2.3", "http://10.1.2.3/"),
            ("10.0.0.0/16", "http://10.1.2.3/"),
            ("10.0.0.0/64", "http://10.1.2.3/"),
            ("10.0.0.0/8", "https://cache.example/"),
        ] {
            assert!(!is_direct(none, url), "{none} {url}");
        }
    }

    #[test]
    fn a_proxy_password_is_not_displayed() {
        let https = Some("http://me:secret@proxy.example".to_owned());
        assert!(!format!("{:?}", Proxies { https, ..Proxies::default() }).contains("secret"));
    }
}
