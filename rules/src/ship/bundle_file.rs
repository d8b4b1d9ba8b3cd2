//! Name, size and digests of a file of a bundle, as stated in the bundle's documents.

use std::fmt::Write;

use mc_digest::hasher::Hasher;
use mc_ir::action::{Content, Piece};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// A file of a bundle.
pub(crate) struct BundleFile {
    /// Its name.
    pub(crate) name: String,
    n_bytes: u64,
    /// The digest that app stores, download managers and `sha256sum` check.
    pub(crate) sha256: String,
    blake3: String,
}

impl BundleFile {
    /// A file with these bytes.
    pub(crate) fn of_bytes(name: &str, bytes: &[u8]) -> Self {
        Self::of_parts(name, std::iter::once(bytes))
    }

    /// A file with this content.
    pub(crate) fn of_content(name: &str, content: &Content) -> Self {
        Self::of_parts(name, content.parts.iter().map(Piece::as_slice))
    }

    fn of_parts<'a>(name: &str, parts: impl Iterator<Item = &'a [u8]>) -> Self {
        let (mut n_bytes, mut sha256, mut blake3) = (0, Sha256::new(), Hasher::new());
        for part in parts {
            n_bytes += part.len() as u64;
            sha256.update(part);
            blake3.update_parallel(part);
        }
        let sha256 = sha256.finalize().iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("a string takes all that is written to it");
            hex
        });
        Self { name: name.to_owned(), n_bytes, sha256, blake3: blake3.finish().hash.to_string() }
    }

    /// The file's entry in a manifest.
    pub(crate) fn json(&self) -> Value {
        json!({ "file": self.name, "size": self.n_bytes, "sha256": self.sha256, "blake3": self.blake3 })
    }
}

/// The list of files in the format of `sha256sum --check`.
pub(crate) fn checksums<'a>(files: impl Iterator<Item = &'a BundleFile>) -> String {
    files.map(|file| format!("{}  {}\n", file.sha256, file.name)).collect()
}
