//! Reads everything in a store and compares it with its digest, regardless of earlier verifications.

use std::path::Path;

use mc_digest::digest::Digest;

use crate::error::StoreError;
use crate::local::stats::{Stats, for_each_file};
use crate::local::store::LocalStore;

impl LocalStore {
    /// Verifies every blob and every action result. Damaged ones are set aside and reported by
    /// [`LocalStore::take_corruptions`]; intact ones are counted.
    ///
    /// # Errors
    /// Fails if the store cannot be read, or something damaged cannot be set aside.
    pub fn verify(&self) -> Result<Stats, StoreError> {
        let mut stats = Stats::default();
        for_each_file(self.layout.folder(), self.layout.blobs(), &mut |path, _| {
            if let Some(n_bytes) = self.verify_blob(path)? {
                stats.blobs.n_files += 1;
                stats.blobs.n_bytes += n_bytes;
            }
            Ok(())
        })?;
        for_each_file(self.layout.folder(), self.layout.actions(), &mut |path, status| {
            if let Some(hash) = hash_of(path)
                && self.read_action(&hash, path)?.is_some()
            {
                stats.actions.n_files += 1;
                stats.actions.n_bytes += status.n_bytes;
            }
            Ok(())
        })?;
        Ok(stats)
    }

    fn verify_blob(&self, path: &Path) -> Result<Option<u64>, StoreError> {
        let Some(hash) = hash_of(path) else { return Ok(None) };
        let Some(file) = self.open_blob(&hash, path)? else { return Ok(None) };
        Ok(self.check(&hash, &file, path)?.map(|digest| digest.n_bytes))
    }
}

/// The hash in the name of a file of the store.
pub(crate) fn hash_of(path: &Path) -> Option<Digest> {
    path.file_name()?.to_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
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
        store.put(&action, b"result", None).unwrap();
        assert_eq!(store.verify().unwrap().blobs.n_files, 2);
        assert_eq!(store.take_corruptions(), []);

        flip_last_bit(&store.layout().at(&store.layout().blob(&bad.hash)));
        flip_last_bit(&store.layout().at(&store.layout().action(&action.hash)));
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
