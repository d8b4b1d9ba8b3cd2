//! A bucket: the addresses of its objects, as signed requests.

use std::time::{Duration, SystemTime};

use mc_fetch::url::{Url, UrlError};

use crate::aws::Keys;
use crate::aws::signature::Signing;

/// Validity of a signature: long enough for clock differences and retries.
const VALID: Duration = Duration::from_secs(3600);

/// A bucket and the keys for it.
pub(crate) struct Bucket {
    name: String,
    region: String,
    keys: Keys,
    /// The folder of its objects.
    root: Url,
}

impl Bucket {
    /// A bucket at AWS.
    ///
    /// # Errors
    /// Fails if name and region do not form a valid address.
    pub(crate) fn of_aws(name: &str, region: String, keys: Keys) -> Result<Self, UrlError> {
        // The certificate covers a single label before the server's name.
        let is_label =
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !is_label {
            return Self::below(&format!("https://s3.{region}.amazonaws.com"), name, region, keys);
        }
        let root = Url::parse(&format!("https://{name}.s3.{region}.amazonaws.com"))?;
        Ok(Self { name: name.to_owned(), region, keys, root })
    }

    /// A bucket as a folder below an address: servers other than AWS's rarely have a host name per bucket.
    ///
    /// # Errors
    /// Fails if the address cannot be used.
    pub(crate) fn below(endpoint: &str, name: &str, region: String, keys: Keys) -> Result<Self, UrlError> {
        let root = Url::parse(endpoint)?.without_query().below(name);
        Ok(Self { name: name.to_owned(), region, keys, root })
    }

    /// The name of the bucket.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The address of a request for an object, signed with the current time.
    ///
    /// * `query`: the query of the request; names consist of letters and digits
    pub(crate) fn signed(&self, method: &str, key: &str, query: &[(&str, &str)]) -> Url {
        let signing = Signing { keys: &self.keys, region: &self.region, at: SystemTime::now(), valid: VALID };
        signing.sign(method, &self.root.below(key), query)
    }
}

#[cfg(test)]
mod tests {
    use mc_fetch::secret::Secret;

    use super::*;

    fn keys() -> Keys {
        Keys { id: "AK".to_owned(), secret: Secret::new("s3cret"), token: None }
    }

    #[test]
    fn aws_buckets_have_their_own_host_unless_their_name_is_not_a_label() {
        let at = |name: &str| {
            let url =
                Bucket::of_aws(name, "eu-west-1".to_owned(), keys()).unwrap().signed("GET", "a/b c", &[]);
            format!("{}{}", url.authority(), url.path())
        };
        assert_eq!(at("team"), "team.s3.eu-west-1.amazonaws.com/a/b%20c");
        assert_eq!(at("team.mc"), "s3.eu-west-1.amazonaws.com/team.mc/a/b%20c");
        assert_eq!(at("Team"), "s3.eu-west-1.amazonaws.com/Team/a/b%20c");
        assert!(Bucket::of_aws("team", "e u".to_owned(), keys()).is_err());
    }

    #[test]
    fn buckets_elsewhere_are_folders_and_the_endpoints_query_is_dropped() {
        for (endpoint, expected) in [
            ("http://127.0.0.1:9000", "127.0.0.1:9000/team/a"),
            ("http://127.0.0.1:9000/", "127.0.0.1:9000/team/a"),
            ("https://host:443/s3?x=y", "host/s3/team/a"),
        ] {
            let bucket = Bucket::below(endpoint, "team", "r".to_owned(), keys()).unwrap();
            let url = bucket.signed("GET", "a", &[]);
            assert_eq!(format!("{}{}", url.authority(), url.path()), expected);
            assert!(url.query().starts_with("X-Amz-Algorithm="), "{endpoint}");
            assert!(!url.query().contains("s3cret"), "{endpoint}");
        }
    }
}
