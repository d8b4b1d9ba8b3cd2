//! Counts of a store's content.

use std::io;
use std::path::{Path, PathBuf};

use mc_files::folder::Folder;
use mc_files::status::{Kind, Status};

use crate::error::StoreError;
use crate::local::store::LocalStore;

/// A number of files and their total size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Number of files.
    pub n_files: u64,
    /// Their total size.
    pub n_bytes: u64,
}

/// Counts of a store's content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Blobs.
    pub blobs: Count,
    /// Action results.
    pub actions: Count,
    /// Damaged blobs in the quarantine.
    pub quarantine: Count,
}

impl LocalStore {
    /// Counts the content of the store. Reads folders only.
    ///
    /// # Errors
    /// Fails if a folder cannot be read.
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

/// Calls `visit` for everything below a folder except folders, in the order of the paths, with the path below `base`
/// and the status. A missing folder counts as empty. Links are not followed.
///
/// # Errors
/// Fails if a folder cannot be read or is a link, or `visit` fails.
pub(crate) fn for_each_file(
    base: &Folder,
    folder: &Path,
    visit: &mut dyn FnMut(&Path, Status) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    // A stack: the next one is at the end.
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
