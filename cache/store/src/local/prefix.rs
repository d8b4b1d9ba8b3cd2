//! Finds blobs by the first digits of their hashes.

use std::io;
use std::path::Path;

use mc_digest::digest::Digest;

use crate::error::StoreError;
use crate::local::store::LocalStore;
use crate::local::verify::hash_of;

impl LocalStore {
    /// The hashes of the blobs that begin with these hexadecimal digits, sorted. Reads only the folders that can
    /// contain them.
    ///
    /// # Errors
    /// If a folder cannot be read.
    pub fn blobs_beginning_with(&self, digits: &str) -> Result<Vec<Digest>, StoreError> {
        let (folder, blobs) = (self.layout.folder(), self.layout.blobs());
        let failed = |path: &Path, source| StoreError::io("read", &self.layout.at(path), source);
        let entries = |path: &Path| match folder.folder(path).and_then(|folder| folder.entries()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            entries => entries.map_err(|source| failed(path, source)),
        };
        let shard = &digits[..digits.len().min(2)];
        let mut found = Vec::new();
        for entry in entries(blobs)? {
            if !entry.name.to_str().is_some_and(|name| name.starts_with(shard)) {
                continue;
            }
            let names = entries(&blobs.join(&entry.name))?;
            let hashes = names.iter().filter_map(|entry| hash_of(Path::new(&entry.name)));
            found.extend(hashes.filter(|hash| hash.to_string().starts_with(digits)));
        }
        found.sort();
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traits::BlobStore as _;

    #[test]
    fn a_prefix_finds_every_blob_that_begins_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(&dir.path().join("store")).unwrap();
        assert_eq!(store.blobs_beginning_with("a").unwrap(), []);
        let mut all: Vec<Digest> =
            (0..100_u8).map(|number| store.put_bytes(&[number]).unwrap().hash).collect();
        all.sort();
        for n_digits in [0, 1, 2, 3, 64] {
            let digits = &all[50].to_string()[..n_digits];
            let expected: Vec<Digest> =
                all.iter().filter(|hash| hash.to_string().starts_with(digits)).copied().collect();
            assert_eq!(store.blobs_beginning_with(digits).unwrap(), expected);
        }
    }
}
