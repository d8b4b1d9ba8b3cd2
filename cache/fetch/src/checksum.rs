//! Digests that servers report for a file, and their verification.
//!
//! `mc.lock` pins files by BLAKE3. The server's digest is checked once, when a file is pinned, so that a lock file
//! never starts from bytes that contradict their own server.

use std::fmt;

use mc_digest::digest::{BlobDigest, Digest};
use mc_digest::hasher::Hasher;
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};

/// A digest reported by a server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServerDigest {
    /// SHA-256 of the bytes, 64 hexadecimal digits.
    Sha256(String),
    /// Git object id: SHA-1 of `blob LENGTH\0` and the bytes, 40 hexadecimal digits.
    GitBlob(String),
}

impl fmt::Display for ServerDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256(hex) => write!(f, "sha256 {hex}"),
            Self::GitBlob(hex) => write!(f, "git blob {hex}"),
        }
    }
}

impl ServerDigest {
    /// Returns a `Sha256` if `hex` is 64 lower-case hexadecimal digits.
    pub fn sha256(hex: &str) -> Option<Self> {
        is_hex(hex, 64).then(|| Self::Sha256(hex.to_owned()))
    }

    /// Returns a `GitBlob` if `hex` is 40 lower-case hexadecimal digits.
    pub fn git_blob(hex: &str) -> Option<Self> {
        is_hex(hex, 40).then(|| Self::GitBlob(hex.to_owned()))
    }
}

/// Expected properties of a file; unknown ones are not checked.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// Its length.
    pub n_bytes: Option<u64>,
    /// Its digest.
    pub digest: Option<Digest>,
    /// Digest reported by the server.
    pub server: Option<ServerDigest>,
}

impl Expected {
    /// Returns true if a digest is known, so that wrongly assembled bytes are detected at the end.
    pub fn is_certain(&self) -> bool {
        self.digest.is_some() || self.server.is_some()
    }
}

/// Hashes incoming bytes with every digest that the check needs.
#[derive(Clone)]
pub struct Checking {
    ours: Hasher,
    theirs: Option<Context>,
    server: Option<ServerDigest>,
}

impl Checking {
    /// Starts with no bytes. A pinned file is checked against its pin alone, which is sufficient.
    pub fn new(expected: &Expected) -> Self {
        let server = expected.server.clone().filter(|_| expected.digest.is_none());
        let theirs = match (&server, expected.n_bytes) {
            (Some(ServerDigest::Sha256(_)), _) => Some(Context::new(&SHA256)),
            (Some(ServerDigest::GitBlob(_)), Some(n_bytes)) => {
                let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
                context.update(format!("blob {n_bytes}\0").as_bytes());
                Some(context)
            }
            // Git's digest begins with the length, which is unknown here.
            (Some(ServerDigest::GitBlob(_)), None) | (None, _) => None,
        };
        Self { ours: Hasher::new(), theirs, server }
    }

    /// Hashes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.ours.update(bytes);
        if let Some(theirs) = &mut self.theirs {
            theirs.update(bytes);
        }
    }

    /// Number of bytes hashed so far.
    pub fn n_bytes(&self) -> u64 {
        self.ours.n_bytes()
    }

    /// Returns the digest if the bytes match.
    ///
    /// # Errors
    /// The expected and the found value.
    pub fn finish(self, expected: &Expected) -> Result<BlobDigest, (String, String)> {
        let found = self.ours.finish();
        if let Some(n_bytes) = expected.n_bytes.filter(|n_bytes| *n_bytes != found.n_bytes) {
            return Err((format!("{n_bytes} bytes"), format!("{} bytes", found.n_bytes)));
        }
        if let Some(digest) = expected.digest.filter(|digest| *digest != found.hash) {
            return Err((format!("blake3 {digest}"), format!("blake3 {}", found.hash)));
        }
        if let (Some(theirs), Some(server)) = (self.theirs, self.server) {
            let hex: String = theirs.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            let found = match server {
                ServerDigest::Sha256(_) => ServerDigest::Sha256(hex),
                ServerDigest::GitBlob(_) => ServerDigest::GitBlob(hex),
            };
            if found != server {
                return Err((server.to_string(), found.to_string()));
            }
        }
        Ok(found)
    }
}

/// SHA-256 of bytes in OCI's notation, without the prefix.
pub fn sha256(bytes: &[u8]) -> String {
    ring::digest::digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_digests_are_verified() {
        // `printf hello | git hash-object --stdin`, and `sha256sum`.
        let git = ServerDigest::git_blob("b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0").unwrap();
        let sha =
            ServerDigest::sha256("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824").unwrap();
        for server in [git, sha] {
            let expected = Expected { n_bytes: Some(5), digest: None, server: Some(server) };
            let check = |bytes: &[u8]| {
                let mut checking = Checking::new(&expected);
                bytes.chunks(2).for_each(|chunk| checking.update(chunk));
                checking.finish(&expected)
            };
            assert_eq!(check(b"hello"), Ok(BlobDigest::of(b"hello")));
            assert!(check(b"hellp").is_err());
            assert_eq!(check(b"hell").unwrap_err().1, "4 bytes");
        }
        assert_eq!(ServerDigest::sha256("ABC"), None);
    }
}
