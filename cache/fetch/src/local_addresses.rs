//! Loopback and link-local addresses, to which no remote server may redirect.
//!
//! On a cloud machine, a service that issues the machine's own credentials listens there (`169.254.169.254`); on a
//! developer's machine, so do services without authentication. A redirect would make `mc` send requests to them. A
//! server with such an address itself may redirect there.

use std::io;
use std::net::{IpAddr, Ipv6Addr};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// AWS's metadata service, whose address is in an ordinary range.
const AWS_METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// Returns true if the address is loopback or link-local.
pub(crate) fn is_near(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_loopback() || address.is_link_local() || address.octets()[0] == 0,
        IpAddr::V6(address) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_unicast_link_local()
                || address == AWS_METADATA
        }
    }
}

/// Resolves host names, and drops loopback and link-local addresses from the result.
#[derive(Debug, Default)]
pub(crate) struct PublicResolver(DefaultResolver);

impl Resolver for PublicResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.0.resolve(uri, config, timeout)?;
        let mut far = self.empty();
        found.iter().filter(|address| !is_near(address.ip())).for_each(|address| far.push(*address));
        if far.is_empty() {
            let reason = "a remote server redirects to a loopback or link-local address, which is refused";
            return Err(io::Error::other(reason).into());
        }
        Ok(far)
    }
}

#[test]
fn loopback_and_link_local_addresses_are_recognized_in_every_notation() {
    let is_near = |address: &str| is_near(address.parse().unwrap());
    for near in [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "169.254.169.254",
        "::1",
        "::",
        "fe80::1",
        "::ffff:169.254.169.254",
        "::ffff:127.0.0.1",
        "fd00:ec2::254",
    ] {
        assert!(is_near(near), "{near}");
    }
    for far in ["10.0.0.1", "192.168.1.1", "8.8.8.8", "fd00::1", "2001:db8::1"] {
        assert!(!is_near(far), "{far}");
    }
}
