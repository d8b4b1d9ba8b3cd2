//! Text that must not be seen: tokens, passwords, and headers made of them.
//!
//! It can be shown and compared nowhere; only the request that needs it opens it. The bytes are not wiped from memory:
//! the process ends soon, and the headers of a request are copies anyway.

pub mod header;
pub mod login;

use std::fmt;

/// Text that must not be seen.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Takes a text; white space around it, such as the newline of a file, is no part of it.
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text, for the request that carries it.
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
