//! A request header with a secret value.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::secret::Secret;
use crate::secret::login::Login;

/// A request header with a secret value.
#[derive(Clone)]
pub struct SecretHeader {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Secret,
}

impl fmt::Debug for SecretHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ***", self.name)
    }
}

impl SecretHeader {
    /// Parses `NAME=VALUE`.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, value) = text.split_once('=')?;
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let name = name.trim();
        let is_header = !name.is_empty() && name.bytes().all(is_token);
        let is_sendable = value.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte));
        (is_header && is_sendable)
            .then(|| Self { name: name.to_ascii_lowercase(), value: Secret::new(value) })
    }

    /// Returns true if the header authenticates the user.
    pub(crate) fn is_authorization(&self) -> bool {
        self.name.eq_ignore_ascii_case("authorization")
    }

    /// `Authorization: Bearer TOKEN`.
    pub fn bearer(token: &Secret) -> Self {
        Self { name: "authorization".to_owned(), value: Secret::new(&format!("Bearer {}", token.open())) }
    }

    /// `Authorization: Basic …`.
    pub fn basic(login: &Login) -> Self {
        let plain = format!("{}:{}", login.name, login.password.open());
        let value = Secret::new(&format!("Basic {}", BASE64_STANDARD.encode(plain)));
        Self { name: "authorization".to_owned(), value }
    }
}

#[test]
fn invalid_headers_are_rejected() {
    assert_eq!(format!("{:?}", SecretHeader::parse("X-Team = a=b ").unwrap()), "x-team: ***");
    for wrong in ["", "a", "=a", "a b=c", "a=b\nc", "a=\u{e4}"] {
        assert!(SecretHeader::parse(wrong).is_none(), "{wrong}");
    }
}
