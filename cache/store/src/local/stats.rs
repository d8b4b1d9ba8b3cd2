//! What a store holds, counted.

use std::io;
use std::path::{Path, PathBuf};

use mc_files::folder::Folder;
use mc_files::status::{Kind, Status};

use crate::error::StoreError;
use crate::local::store::LocalStore;

/// How many files there are, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Files.
    pub n_files: u64,
    /// Their bytes.
    pub n_bytes: u64,
}

/// What a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Blobs.
    pub blobs: Count,
    /// Action results.
    pub actions: Count,
    /// Damaged blobs that were set aside.
    pub quarantine: Count,
}

impl LocalStore {
    /// Counts what is in the store; nothing is read but folders.
    ///
    /// # Errors
    /// If a folder cannot be read.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        let mut stats = Stats::default();
        let folders = [
            (self.layout.blobs(), &mut stats.blobs),
            (self.layout.actions(), &mut stats.actions),
            (self.layout.quarantine(), &mut stats.quarantine),
        ];
        for (folder, count) in folders {
            for_each_file(self.layout.folder(), folder, &mut |_, status| {
                count.n_files += 1;
                count.n_bytes += status.n_bytes;
                Ok(())
            })?;
        }
        Ok(stats)
    }
}

/// Calls `visit` with the path below `base` and the status of everything below a folder that is not a folder itself, in
/// the order of the paths; a folder that is not there is empty. Links are not followed.
///
/// # Errors
/// If a folder cannot be read or is a link, or as `visit`.
pub(crate) fn for_each_file(
    base: &Folder,
    folder: &Path,
    visit: &mut dyn FnMut(&Path, Status) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    // Those to be looked at next stand last.
    let mut pending: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        let failed = |source| StoreError::io("read", &base.at(&folder), source);
        let opened = match base.folder(&folder) {
            // Another process may have removed it meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other.map_err(failed)?,
        };
        let mut below = Vec::new();
        for entry in opened.entries().map_err(failed)? {
            let path = folder.join(&entry.name);
            if entry.kind == Kind::Folder {
                below.push(path);
                continue;
            }
            match opened.status_of(Path::new(&entry.name)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                status => visit(&path, status.map_err(failed)?)?,
            }
        }
        pending.extend(below.into_iter().rev());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use mc_digest::digest::ActionDigest;

    use super::*;
    use crate::traits::{ActionCache, BlobStore};

    #[test]
    fn everything_is_counted_once() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(&dir.path().join("cache")).unwrap();
        assert_eq!(store.stats().unwrap(), Stats::default());
        store.put_bytes(b"one").unwrap();
        store.put_bytes(b"three").unwrap();
        store.put_bytes(b"one").unwrap();
        store.put(&ActionDigest::of(b"action"), b"result", None).unwrap();
        let stats = store.stats().unwrap();
        assert_eq!(stats.blobs, Count { n_files: 2, n_bytes: 8 });
        assert_eq!(stats.actions.n_files, 1);
        assert_eq!(stats.quarantine, Count::default());
    }
}
