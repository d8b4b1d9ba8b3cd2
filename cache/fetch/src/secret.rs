//! Secrets: tokens, passwords, and headers that contain them.
//!
//! A secret can be neither printed nor compared; only the request that needs it opens it. The bytes are not wiped from
//! memory: the process ends soon, and request headers are copies anyway.

pub mod header;
pub mod login;

use std::fmt;

/// A secret text.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text without surrounding white space, such as the newline of a file.
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// Returns true if the text is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text, for the request that sends it.
    pub fn open(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[test]
fn a_secret_shows_stars_however_it_is_printed() {
    let secret = Secret::new("hf_token\n");
    assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "*** *** Some(***)");
    assert_eq!(secret.open(), "hf_token");
}
