//! Digests of bytes: 32 bytes of hash, and the typed digests built on it.
//!
//! A typed digest carries the size beside the hash, as the Remote Execution API's `Digest` does, so that a blob's size
//! is known before any byte of it is fetched. The two kinds of identity are two types: an [`ActionDigest`] cannot be
//! used as a [`BlobDigest`].
//!
//! This module does not hash; see [`crate::hasher`].

use std::fmt;
use std::str::FromStr;

/// A 32-byte hash. Its text form is 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Creates a digest from 32 bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The hash of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        BlobDigest::of(bytes).hash
    }

    /// The first twelve hexadecimal digits: enough to tell digests apart on a screen, but never used for a lookup.
    pub fn short(&self) -> String {
        let mut hex = self.to_string();
        hex.truncate(12);
        hex
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = [0u8; 64];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        f.pad(std::str::from_utf8(&hex).expect("hexadecimal digits are ASCII"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let invalid = || DigestError::Hash { found: text.to_owned() };
        let hex = text.as_bytes();
        if hex.len() != 64 {
            return Err(invalid());
        }
        let mut bytes = [0u8; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
            *byte = nibble(pair[0]).ok_or_else(invalid)? << 4 | nibble(pair[1]).ok_or_else(invalid)?;
        }
        Ok(Self(bytes))
    }
}

// Upper case is refused, so that a digest has exactly one text form and therefore one file name.
fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

macro_rules! sized_digest {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            /// The hash of the bytes.
            pub hash: Digest,
            /// Number of bytes hashed.
            pub n_bytes: u64,
        }

        impl $name {
            /// Creates a digest from a hash and a size.
            pub const fn new(hash: Digest, n_bytes: u64) -> Self {
                Self { hash, n_bytes }
            }

            /// The first twelve hexadecimal digits of the hash, for display.
            pub fn short(&self) -> String {
                self.hash.short()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}/{}", self.hash, self.n_bytes)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = DigestError;

            fn from_str(text: &str) -> Result<Self, DigestError> {
                let (hash, n_bytes) = parse_sized(text)?;
                Ok(Self { hash, n_bytes })
            }
        }
    };
}

sized_digest! {
    /// The identity of a blob: the hash of its bytes and their number. Its text form is `hash/size`.
    BlobDigest
}

sized_digest! {
    /// The identity of an action: the hash of its encoding and the encoding's size. Its text form is `hash/size`.
    ActionDigest
}

fn parse_sized(text: &str) -> Result<(Digest, u64), DigestError> {
    let invalid = || DigestError::Sized { found: text.to_owned() };
    let (hash, size) = text.split_once('/').ok_or_else(invalid)?;
    let n_bytes: u64 = size.parse().map_err(|_| invalid())?;
    if n_bytes.to_string() != size {
        return Err(invalid());
    }
    Ok((hash.parse()?, n_bytes))
}

/// A text that is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// The hash part is not 64 lower-case hexadecimal digits.
    #[error("`{found}` is not a hash; expected 64 lower-case hexadecimal digits")]
    Hash {
        /// The text found.
        found: String,
    },
    /// The text is not `hash/size`.
    #[error("`{found}` is not a digest; expected `hash/size`, for example `af13…62/0`")]
    Sized {
        /// The text found.
        found: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_empty_blob_has_the_published_blake3_hash() {
        let digest = BlobDigest::of(b"");
        assert_eq!(digest.to_string(), "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262/0");
        assert_eq!(digest.short(), "af1349b9f5f9");
        assert_eq!(format!("{digest:?}"), format!("BlobDigest({digest})"));
    }

    #[test]
    fn a_digest_has_one_text_form() {
        let hex = Digest::of(b"a").to_string();
        assert!(hex.to_uppercase().parse::<Digest>().is_err());
        assert!(hex[1..].parse::<Digest>().is_err());
        assert!(format!("{hex}/01").parse::<BlobDigest>().is_err());
        assert!(format!("{hex}/+1").parse::<BlobDigest>().is_err());
        assert!(format!("{hex}/-1").parse::<BlobDigest>().is_err());
        assert_eq!(
            hex.parse::<BlobDigest>().unwrap_err().to_string(),
            format!("`{hex}` is not a digest; expected `hash/size`, for example `af13…62/0`")
        );
    }

    proptest! {
        #[test]
        fn text_and_digest_are_inverse(bytes: [u8; 32], n_bytes: u64) {
            let digest = ActionDigest::new(Digest::from_bytes(bytes), n_bytes);
            prop_assert_eq!(digest.to_string().parse::<ActionDigest>(), Ok(digest));
        }

        #[test]
        fn no_text_panics(text: String) {
            drop(text.parse::<BlobDigest>());
        }
    }
}
