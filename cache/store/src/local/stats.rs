//! What a store holds, counted.

use std::fs;
use std::io;
use std::path::Path;

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
            for_each_file(&folder, &mut |path| {
                match fs::metadata(path) {
                    Ok(metadata) => {
                        count.n_files += 1;
                        count.n_bytes += metadata.len();
                    }
                    // Another process set it aside meanwhile.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(source) => return Err(StoreError::io("examine", path, source)),
                }
                Ok(())
            })?;
        }
        Ok(stats)
    }
}

/// Calls `visit` with every file below a folder, in the order of their names; a folder that is not there is empty.
///
/// # Errors
/// If a folder cannot be read, or as `visit`.
pub(crate) fn for_each_file(
    folder: &Path,
    visit: &mut dyn FnMut(&Path) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let failed = |source| StoreError::io("read", folder, source);
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(failed)?,
    };
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            for_each_file(&path, visit)?;
        } else {
            visit(&path)?;
        }
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
        store.put(&ActionDigest::of(b"action"), b"result").unwrap();
        let stats = store.stats().unwrap();
        assert_eq!(stats.blobs, Count { n_files: 2, n_bytes: 8 });
        assert_eq!(stats.actions.n_files, 1);
        assert_eq!(stats.quarantine, Count::default());
    }
}
