//! Signatures on results: authorize writers of a shared cache.
//!
//! Anyone with write access to a cache could store a wrong result under a valid key. With trusted keys configured, only
//! results signed by one of them count. Keys are Ed25519, in the PEM files that `openssl genpkey -algorithm ed25519`
//! and `openssl pkey -pubout` write. The signature covers the action's key and the result without its signature, which
//! names every blob by digest.
//!
//! A key is identified by the digest of its public half, which the local store records with a result.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use mc_digest::digest::{BlobDigest, Digest};
use mc_files::path_error::PathError;
use mc_files::regular::read_text;
use mc_store::attester::{Attester, Attesters};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use crate::error::RemoteError;

/// The name of a signature among a result's auxiliary metadata.
pub(crate) const NOTE: &str = "mc.signature.ed25519";

/// Limit on the size of a key file.
const MAX_KEYS: u64 = 1 << 20;

/// Prevents the use of a signature on a result for any other purpose.
const CONTEXT: &[u8] = b"mc result 1\n";

/// The DER prefix of a 32-byte public key: the algorithm in X.509 encoding.
const PUBLIC_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The private key that signs results.
pub struct Signer(Ed25519KeyPair);

/// The trusted public keys.
#[derive(Debug, Default)]
pub struct Trusted(Vec<[u8; 32]>);

/// The signing key and the trusted keys. Without trusted keys, every result counts.
#[derive(Debug, Default)]
pub struct Signatures {
    /// The private key that signs results.
    pub signer: Option<Signer>,
    /// The trusted public keys.
    pub trusted: Option<Trusted>,
}

impl Signatures {
    /// An identifier of the trusted keys: equal sets of keys give equal text.
    pub fn whose(&self) -> String {
        let Some(Trusted(keys)) = &self.trusted else { return "anyone's".to_owned() };
        let keys: BTreeSet<String> = keys.iter().map(|key| BASE64_STANDARD.encode(key)).collect();
        keys.into_iter().collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(***)")
    }
}

impl Signer {
    /// Reads the private key from a PEM file.
    ///
    /// # Errors
    /// Fails if the file has none.
    pub fn read(path: &Path) -> Result<Self, RemoteError> {
        Self::parse(&text(path)?).map_err(|reason| wrong(path.display(), &reason))
    }

    /// Reads the private key from a variable, which holds a PEM text or the path of a PEM file. No message contains the
    /// value, since it may be the key or part of one.
    ///
    /// # Errors
    /// Fails if there is none.
    pub fn of_variable(name: &str, value: &str) -> Result<Self, RemoteError> {
        if is_pem(value) {
            return Self::parse(value).map_err(|reason| wrong(name, &reason));
        }
        let text = read_text(Path::new(value), MAX_KEYS).map_err(|error| {
            // An error may name the path, which may be part of a key.
            let error = match PathError::of(&error) {
                Some(_) => "it is not a regular file, or too long".to_owned(),
                None => error.to_string(),
            };
            wrong(name, &format!("expected a key in PEM, or the path of its file: {error}"))
        })?;
        Self::parse(&text).map_err(|reason| wrong(name, &format!("in the file at this path, {reason}")))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let expected =
            "expected a private Ed25519 key in PEM, as `openssl genpkey -algorithm ed25519` writes";
        let key = blocks(text, "PRIVATE KEY")?;
        let [key] = key.as_slice() else { return Err(expected.to_owned()) };
        // The public key is optional: version 1 of the format lacks it.
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(key).map(Self).map_err(|_| expected.to_owned())
    }

    /// The public half of this key, as the only trusted key.
    pub fn trusted(&self) -> Trusted {
        let key = self.0.public_key().as_ref().first_chunk().expect("a public Ed25519 key has 32 bytes");
        Trusted(vec![*key])
    }

    pub(crate) fn sign(&self, key: &BlobDigest, result: &[u8]) -> Vec<u8> {
        self.0.sign(&message(key, result)).as_ref().to_vec()
    }
}

impl Trusted {
    /// Reads one or more public keys from a PEM file.
    ///
    /// # Errors
    /// Fails if the file has none, or contains anything else.
    pub fn read(path: &Path) -> Result<Self, RemoteError> {
        let expected = "expected public Ed25519 keys in PEM, as `openssl pkey -pubout` writes";
        let keys = blocks(&text(path)?, "PUBLIC KEY").map_err(|reason| wrong(path.display(), &reason))?;
        let bare = |key: &Vec<u8>| key.strip_prefix(&PUBLIC_HEAD)?.try_into().ok();
        let keys: Option<Vec<[u8; 32]>> = keys.iter().map(bare).collect();
        keys.filter(|keys| !keys.is_empty()).map(Self).ok_or_else(|| wrong(path.display(), expected))
    }

    /// The owners of the keys, as attesters.
    pub fn attesters(&self) -> Attesters {
        self.0.iter().map(attester).collect()
    }

    /// The owner of the key that made a signature; `None` if none of these keys made it.
    pub(crate) fn signer(&self, signature: &[u8], key: &BlobDigest, result: &[u8]) -> Option<Attester> {
        let message = message(key, result);
        let has_signed = |trusted: &&[u8; 32]| {
            UnparsedPublicKey::new(&ED25519, trusted).verify(&message, signature).is_ok()
        };
        self.0.iter().find(has_signed).map(attester)
    }
}

fn attester(key: &[u8; 32]) -> Attester {
    Attester::Key(Digest::of(key))
}

fn message(key: &BlobDigest, result: &[u8]) -> Vec<u8> {
    [CONTEXT, format!("{key}\n").as_bytes(), result].concat()
}

/// Returns true if a text contains keys, rather than the path of a file.
pub fn is_pem(text: &str) -> bool {
    text.contains("-----BEGIN ")
}

fn text(path: &Path) -> Result<String, RemoteError> {
    read_text(path, MAX_KEYS).map_err(|error| wrong(path.display(), &error.to_string()))
}

/// The decoded blocks with this name.
fn blocks(text: &str, name: &str) -> Result<Vec<Vec<u8>>, String> {
    let (begin, end) = (format!("-----BEGIN {name}-----"), format!("-----END {name}-----"));
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(&begin) {
        let Some((block, after)) = after.split_once(&end) else { break };
        let block: String = block.split_whitespace().collect();
        let bytes = BASE64_STANDARD.decode(block).map_err(|_| "expected base 64 between its lines")?;
        blocks.push(bytes);
        rest = after;
    }
    Ok(blocks)
}

fn wrong(place: impl fmt::Display, reason: &str) -> RemoteError {
    RemoteError::Key { path: place.to_string(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    // Made with `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout`; they protect nothing.
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIPWMfuXZkU7MsXmTehb1J7/fSXn1iG2ri0FHk0+NN3mp\n-----END PRIVATE KEY-----\n";
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAv3Q0vU1qhOn8Nwfg/bsdFYshwifW+U461/3Pg29jerg=\n-----END PUBLIC KEY-----\n";

    #[test]
    fn only_signed_bytes_have_a_valid_signature() {
        let folder = tempfile::tempdir().unwrap();
        let (private, public) = (folder.path().join("key.pem"), folder.path().join("key.pub"));
        fs::write(&private, PRIVATE).unwrap();
        fs::write(&public, PUBLIC).unwrap();
        let (signer, trusted) = (Signer::read(&private).unwrap(), Trusted::read(&public).unwrap());
        let key = BlobDigest::of(b"action");
        let signature = signer.sign(&key, b"result");
        let owner = trusted.signer(&signature, &key, b"result");
        assert_eq!(owner, trusted.attesters().first().copied());
        assert_eq!(owner, signer.trusted().signer(&signature, &key, b"result"));
        assert!(matches!(owner, Some(Attester::Key(_))));
        for (signature, key, result) in [
            (&signature[..], key, &b"another result"[..]),
            (&signature, BlobDigest::of(b"another action"), b"result"),
            (&signature[1..], key, b"result"),
            (b"", key, b"result"),
        ] {
            assert_eq!(trusted.signer(signature, &key, result), None);
        }
        assert_eq!(Trusted::default().signer(&signature, &key, b"result"), None);
        // A file may hold several keys, and a file of the wrong kind is reported.
        fs::write(&public, format!("{PUBLIC}{PUBLIC}")).unwrap();
        assert_eq!(Trusted::read(&public).unwrap().0.len(), 2);
        for (read, expected) in [
            (Trusted::read(&private).map(drop), "expected public Ed25519 keys"),
            (Signer::read(&public).map(drop), "expected a private Ed25519 key"),
            (Signer::read(&folder.path().join("none")).map(drop), "No such file"),
        ] {
            let error = read.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_variable_holds_a_key_or_its_path_and_is_never_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        fs::write(path("key.pem"), PRIVATE).unwrap();
        fs::write(path("key.pub"), PUBLIC).unwrap();
        let read = |value: &str| {
            Signer::of_variable("KEY", value).map(|signer| signer.sign(&BlobDigest::of(b"a"), b""))
        };
        let signed = read(PRIVATE).unwrap();
        // A shell may turn line breaks in a variable into spaces.
        for value in [&PRIVATE.replace('\n', " "), &path("key.pem")] {
            assert_eq!(read(value).unwrap(), signed);
        }
        let cut = PRIVATE.replace("-----END", "");
        let bare = &PRIVATE[28..92];
        fs::File::create(path("long")).unwrap().set_len(4 << 40).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());
        let unusable = [&path("key.pub"), &path("none"), &path("long"), &path("pipe")];
        for value in [PUBLIC, &cut, bare].into_iter().chain(unusable.map(String::as_str)) {
            let error = read(value).unwrap_err().to_string();
            assert!(error.starts_with("KEY: ") && error.contains("expected a"), "{error}");
            assert!(!error.contains("MC4C") && !error.contains(value), "{error}");
        }
    }
}
