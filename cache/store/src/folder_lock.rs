//! An inter-process lock on a folder, for creating and removing names in it.
//!
//! The operating system releases it when the process ends, even after a crash.

use std::fs::File;
use std::io;
use std::path::Path;

use mc_files::folder::Folder;

use crate::error::StoreError;

/// Limit on attempts to lock a folder that other processes remove before the lock is held. An attempt fails only if
/// another process made progress, so this many failures mean that the folder cannot be kept at all.
const MAX_ATTEMPTS: usize = 10_000;

/// A folder that this process has locked.
#[derive(Debug)]
pub(crate) struct LockedFolder {
    pub(crate) folder: Folder,
    // Holds the lock.
    _lock: File,
}

/// Creates the folder if necessary and waits for its lock, which is held until the returned value is dropped.
///
/// # Errors
/// Fails if the folder cannot be created or locked, or a part of its path is a link.
pub(crate) fn lock_folder(base: &Folder, path: &Path) -> Result<LockedFolder, StoreError> {
    let failed = |action, source| StoreError::io(action, &base.at(path), source);
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for _ in 0..MAX_ATTEMPTS {
        // Another process may remove the folder until the lock is held.
        let folder = match base.create_folder(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                last = error;
                continue;
            }
            other => other.map_err(|source| failed("create", source))?,
        };
        let lock = folder.file().map_err(|source| failed("open", source))?;
        lock.lock().map_err(|source| failed("lock", source))?;
        // If the folder was removed before it was locked, other processes lock its successor.
        let locked = folder.status().map_err(|source| failed("examine", source))?;
        if base.status_of(path).is_ok_and(|named| named.is_same_file(&locked)) {
            return Ok(LockedFolder { folder, _lock: lock });
        }
    }
    Err(failed("keep", last))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn the_lock_is_exclusive_even_if_holders_remove_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let base = Folder::open(dir.path()).unwrap();
        let path = Path::new("deep/locked");
        let n_inside = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let lock = lock_folder(&base, path).unwrap();
                        assert_eq!(n_inside.fetch_add(1, Ordering::SeqCst), 0);
                        n_inside.fetch_sub(1, Ordering::SeqCst);
                        // The next process creates and locks another folder.
                        base.remove_folder(path).unwrap();
                        drop(lock);
                    }
                });
            }
        });
    }

    #[test]
    fn a_file_in_the_way_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        let base = Folder::open(dir.path()).unwrap();
        let error = lock_folder(&base, Path::new("file")).unwrap_err().to_string();
        assert!(error.starts_with("Could not create"), "{error}");
    }
}
