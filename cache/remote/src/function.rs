//! Digest functions: BLAKE3, which the local store uses, and SHA-256, which every server supports.
//!
//! Both have 32 bytes, so a [`BlobDigest`] holds either; the context defines which one it is.

use mc_digest::digest::{BlobDigest, Digest};
use mc_digest::hasher::Hasher;

/// A digest function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestFunction {
    /// The function of the local store.
    Blake3,
    /// The function of nearly all servers.
    Sha256,
}

impl DigestFunction {
    /// The digest of bytes.
    pub fn digest(self, bytes: &[u8]) -> BlobDigest {
        let mut hashing = Hashing::new(self);
        hashing.update(bytes);
        hashing.finish()
    }
}

/// An incremental digest computation.
pub enum Hashing {
    /// BLAKE3.
    Blake3(Box<Hasher>),
    /// SHA-256, and the number of bytes.
    Sha256(Box<ring::digest::Context>, u64),
}

impl Hashing {
    /// Starts with no bytes.
    pub fn new(function: DigestFunction) -> Self {
        match function {
            DigestFunction::Blake3 => Self::Blake3(Box::new(Hasher::new())),
            DigestFunction::Sha256 => {
                Self::Sha256(Box::new(ring::digest::Context::new(&ring::digest::SHA256)), 0)
            }
        }
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Blake3(hasher) => {
                hasher.update(bytes);
            }
            Self::Sha256(context, n_bytes) => {
                context.update(bytes);
                *n_bytes += bytes.len() as u64;
            }
        }
    }

    /// The digest of all bytes.
    pub fn finish(self) -> BlobDigest {
        match self {
            Self::Blake3(hasher) => hasher.finish(),
            Self::Sha256(context, n_bytes) => {
                let digest = context.finish();
                let bytes = *digest.as_ref().first_chunk().expect("SHA-256 has 32 bytes");
                BlobDigest::new(Digest::from_bytes(bytes), n_bytes)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_functions_match_published_digests() {
        let sha = DigestFunction::Sha256.digest(b"abc");
        assert_eq!(sha.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad/3");
        assert_eq!(DigestFunction::Blake3.digest(b"abc"), BlobDigest::of(b"abc"));
    }
}
