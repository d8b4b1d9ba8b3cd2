//! Reads everything in a store and compares it with its digest, whatever was believed about it before.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use mc_digest::digest::Digest;

use crate::error::StoreError;
use crate::local::actions::{decode, remove};
use crate::local::corruption::Corruption;
use crate::local::stats::{Stats, for_each_file};
use crate::local::store::LocalStore;

impl LocalStore {
    /// Checks every blob and every action result. What is damaged is set aside and told by
    /// [`LocalStore::take_corruptions`]; what is intact is counted.
    ///
    /// # Errors
    /// If the store cannot be read, or something damaged cannot be set aside.
    pub fn verify(&self) -> Result<Stats, StoreError> {
        let mut stats = Stats::default();
        for_each_file(&self.layout.blobs(), &mut |path| {
            if let Some(n_bytes) = self.verify_blob(path)? {
                stats.blobs.n_files += 1;
                stats.blobs.n_bytes += n_bytes;
            }
            Ok(())
        })?;
        for_each_file(&self.layout.actions(), &mut |path| {
            if let Some(n_bytes) = self.verify_action(path)? {
                stats.actions.n_files += 1;
                stats.actions.n_bytes += n_bytes;
            }
            Ok(())
        })?;
        Ok(stats)
    }

    fn verify_blob(&self, path: &Path) -> Result<Option<u64>, StoreError> {
        let Some(hash) = hash_of(path) else { return Ok(None) };
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|source| StoreError::io("open", path, source))?,
        };
        Ok(self.check(&hash, &file, path)?.map(|digest| digest.n_bytes))
    }

    fn verify_action(&self, path: &Path) -> Result<Option<u64>, StoreError> {
        let Some(hash) = hash_of(path) else { return Ok(None) };
        let sealed = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|source| StoreError::io("read", path, source))?,
        };
        if decode(&sealed).is_some_and(|(action, _)| action.hash == hash) {
            return Ok(Some(sealed.len() as u64));
        }
        remove(path)?;
        self.report(Corruption::Action { action: hash, path: path.to_owned() });
        Ok(None)
    }
}

/// The hash that a file of the store is named by.
fn hash_of(path: &Path) -> Option<Digest> {
    path.file_name()?.to_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use mc_digest::digest::ActionDigest;

    use super::*;
    use crate::traits::{ActionCache, BlobStore};

    fn flip_last_bit(path: &Path) {
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
        let mut bytes = fs::read(path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(path, bytes).unwrap();
    }

    #[test]
    fn damage_is_set_aside_and_the_rest_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(&dir.path().join("cache")).unwrap();
        let good = store.put_bytes(b"good").unwrap();
        let bad = store.put_bytes(b"bad").unwrap();
        let action = ActionDigest::of(b"action");
        store.put(&action, b"result").unwrap();
        assert_eq!(store.verify().unwrap().blobs.n_files, 2);
        assert_eq!(store.take_corruptions(), []);

        flip_last_bit(&store.layout().blob(&bad.hash));
        flip_last_bit(&store.layout().action(&action.hash));
        let stats = store.verify().unwrap();
        assert_eq!((stats.blobs.n_files, stats.actions.n_files), (1, 0));
        let corruptions = store.take_corruptions();
        assert_eq!(corruptions.len(), 2);
        assert!(corruptions[0].is_blob(&bad) && corruptions[1].is_action(&action));
        assert!(store.contains(&good).unwrap());
        assert!(!store.contains(&bad).unwrap());
        assert_eq!(store.stats().unwrap().quarantine.n_files, 1);
    }
}
