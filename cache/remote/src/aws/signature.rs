//! AWS Signature Version 4 in the query of a URL: the URL permits one kind of request for a limited time.
//!
//! The host is the only signed header, and the body is not signed, so the same URL works for every retry. This module
//! is independent of buckets ([`crate::aws::bucket`]) and reads no clock.
//!
//! Source: "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)" in the Amazon S3 API Reference.

use std::time::{Duration, SystemTime};

use mc_fetch::calendar;
use mc_fetch::url::Url;
use ring::{digest, hmac};

use crate::aws::Keys;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Keys for signing, and the parameters of the signature.
pub(crate) struct Signing<'a> {
    pub(crate) keys: &'a Keys,
    pub(crate) region: &'a str,
    pub(crate) at: SystemTime,
    pub(crate) valid: Duration,
}

impl Signing<'_> {
    /// Returns the URL with a signature in its query.
    ///
    /// * `url`: the requested URL, without a query
    /// * `query`: the query of the request; names consist of letters and digits
    pub(crate) fn sign(&self, method: &str, url: &Url, query: &[(&str, &str)]) -> Url {
        let time = calendar::basic(self.at);
        let day = time.split('T').next().unwrap_or_default();
        let scope = format!("{day}/{}/s3/aws4_request", self.region);
        let credential = format!("{}/{scope}", self.keys.id);
        let valid = self.valid.as_secs().to_string();
        let mut pairs = vec![
            ("X-Amz-Algorithm", ALGORITHM),
            ("X-Amz-Credential", &credential),
            ("X-Amz-Date", &time),
            ("X-Amz-Expires", &valid),
            ("X-Amz-SignedHeaders", "host"),
        ];
        // An empty token counts as absent.
        let token = self.keys.token.as_ref().filter(|token| !token.is_empty());
        pairs.extend(token.map(|token| ("X-Amz-Security-Token", token.open())));
        pairs.extend(query);
        pairs.sort_unstable();
        let unsigned = url.with_query(&pairs);
        let request = format!(
            "{method}\n{}\n{}\nhost:{}\n\nhost\nUNSIGNED-PAYLOAD",
            unsigned.path(),
            unsigned.query(),
            unsigned.authority()
        );
        let hash = hex(digest::digest(&digest::SHA256, request.as_bytes()).as_ref());
        let signature = self.signature(day, &format!("{ALGORITHM}\n{time}\n{scope}\n{hash}"));
        unsigned.with_query(&[("X-Amz-Signature", &signature)])
    }

    /// Signs a text with the key derived for one day, one region and one service.
    fn signature(&self, day: &str, text: &str) -> String {
        let secret = format!("AWS4{}", self.keys.secret.open());
        let steps = [day, self.region, "s3", "aws4_request", text];
        hex(&steps.iter().fold(secret.into_bytes(), |key, step| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), step.as_bytes()).as_ref().to_vec()
        }))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use mc_fetch::secret::Secret;
    use proptest::prelude::*;

    use super::*;

    fn keys(token: Option<&str>) -> Keys {
        Keys {
            id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            token: token.map(Secret::new),
        }
    }

    /// The signed query, dated as in AWS's examples.
    fn query(method: &str, url: &str, token: Option<&str>, query: &[(&str, &str)]) -> String {
        let signing = Signing {
            keys: &keys(token),
            region: "us-east-1",
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_369_353_600),
            valid: Duration::from_secs(86_400),
        };
        signing.sign(method, &Url::parse(url).unwrap(), query).query().to_owned()
    }

    const OBJECT: &str = "https://examplebucket.s3.amazonaws.com/test.txt";
    const FIRST: &str = "X-Amz-Algorithm=AWS4-HMAC-SHA256\
        &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
        &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400";

    #[test]
    fn the_signature_matches_the_example_in_the_s3_reference() {
        let expected = format!(
            "{FIRST}&X-Amz-SignedHeaders=host\
             &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        );
        assert_eq!(query("GET", OBJECT, None, &[]), expected);
        // An empty token counts as absent.
        assert_eq!(query("GET", OBJECT, Some(""), &[]), expected);
        // The default port of a scheme is not part of the host.
        assert_eq!(query("GET", &OBJECT.replace(".com/", ".com:443/"), None, &[]), expected);
        assert_ne!(query("GET", &OBJECT.replace(".com/", ".com:444/"), None, &[]), expected);
        assert_ne!(query("PUT", OBJECT, None, &[]), expected);
    }

    /// Signatures of the crate `rusty-s3`, whose tests have the same key and day.
    #[test]
    fn signatures_with_queries_and_tokens_match_another_implementation() {
        let token = Some("oej5cie4uctureturdtuc5dctd");
        for (method, token, asked, before, after, signature) in [
            (
                "GET",
                token,
                &[][..],
                "&X-Amz-Security-Token=oej5cie4uctureturdtuc5dctd",
                "",
                "bf77b83a7135594046c90a7e7e10cf1a4c8f8ecc1d541d0f42bea6b7670870c7",
            ),
            (
                "POST",
                None,
                &[("uploads", "1")],
                "",
                "&uploads=1",
                "a6289f9e5ff2a914c6e324403bcd00b1d258c568487faa50d317ef0910c25c0a",
            ),
            (
                "PUT",
                None,
                &[("partNumber", "1"), ("uploadId", "abcd")],
                "",
                "&partNumber=1&uploadId=abcd",
                "d2ed12e1e116c88a79cd6d1726f5fe75c99db8a0292ba000f97ecc309a9303f8",
            ),
            (
                "POST",
                None,
                &[("uploadId", "abcd")],
                "",
                "&uploadId=abcd",
                "19b9d341ce3c6ebd9f049882e875dcad4adc493d9d46d55148f4113146c53dd8",
            ),
            (
                "DELETE",
                None,
                &[("uploadId", "abcd")],
                "",
                "&uploadId=abcd",
                "7670bc768a7cdb5c276a9dddadeefdffb52061f94db6c14b4a9284fdc195bb59",
            ),
        ] {
            let expected =
                format!("{FIRST}{before}&X-Amz-SignedHeaders=host{after}&X-Amz-Signature={signature}");
            assert_eq!(query(method, OBJECT, token, asked), expected);
        }
    }

    /// Decodes an escaped text.
    fn plain(escaped: &str) -> String {
        let (mut bytes, mut rest) = (Vec::new(), escaped.as_bytes());
        while let Some((first, after)) = rest.split_first() {
            let escape = (*first == b'%').then(|| after.split_at(2));
            let (byte, after) = escape.map_or((*first, after), |(hex, after)| {
                (u8::from_str_radix(std::str::from_utf8(hex).unwrap(), 16).unwrap(), after)
            });
            bytes.push(byte);
            rest = after;
        }
        String::from_utf8(bytes).unwrap()
    }

    proptest! {
        #[test]
        fn keys_and_values_survive_escaping(key in "\\PC{1,20}", value in "\\PC{1,20}") {
            let bucket = Url::parse("https://bucket.example/").unwrap();
            let signing = Signing {
                keys: &keys(Some(&value)),
                region: "us-east-1",
                at: SystemTime::UNIX_EPOCH,
                valid: Duration::from_secs(1),
            };
            let signed = signing.sign("GET", &bucket.below(&key), &[("uploadId", &value)]);
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte);
            prop_assert!(signed.path().bytes().all(|byte| is_plain(byte) || byte == b'/'));
            prop_assert_eq!(plain(signed.path()), format!("/{key}"));
            let pairs: Vec<(&str, &str)> =
                signed.query().split('&').map(|pair| pair.split_once('=').unwrap()).collect();
            prop_assert!(pairs.iter().all(|(_, value)| value.bytes().all(is_plain)));
            let of = |name: &str| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| plain(value));
            prop_assert_eq!(of("uploadId"), Some(value.clone()));
            let token = Some(value.trim()).filter(|value| !value.is_empty());
            prop_assert_eq!(of("X-Amz-Security-Token"), token.map(str::to_owned));
            let (last, before) = pairs.split_last().unwrap();
            prop_assert_eq!(last.0, "X-Amz-Signature");
            prop_assert!(before.is_sorted());
        }
    }
}
