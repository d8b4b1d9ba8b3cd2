//! A lock on a folder between processes, for the moments in which names in it come and go.
//!
//! The system releases it when the process ends, however it ends.

use crate::error::StoreError;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Creates the folder if need be and waits until nobody else has it locked; the lock lasts as long as the file.
///
/// # Errors
/// If the folder cannot be created or locked.
pub(crate) fn lock_folder(folder: &Path) -> Result<File, StoreError> {
    loop {
        // Another process may remove the folder at any moment before the lock is held, even inside this call,
        // which then takes what it found in its way for a file.
        if let Err(source) = fs::create_dir_all(folder) {
            let in_the_way = fs::symlink_metadata(folder);
            let was_removed = source.kind() == io::ErrorKind::AlreadyExists
                && in_the_way
                    .map_or_else(|error| error.kind() == io::ErrorKind::NotFound, |now| now.is_dir());
            if was_removed {
                continue;
            }
            return Err(StoreError::io("create", folder, source));
        }
        let file = match File::open(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other.map_err(|source| StoreError::io("open", folder, source))?,
        };
        file.lock().map_err(|source| StoreError::io("lock", folder, source))?;
        // Removed before the lock, the folder has no name any more, and others lock its successor.
        let locked = file.metadata().map_err(|source| StoreError::io("examine", folder, source))?;
        match fs::metadata(folder) {
            Ok(named) if (named.dev(), named.ino()) == (locked.dev(), locked.ino()) => return Ok(file),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn one_at_a_time_holds_it_even_when_holders_remove_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("deep/locked");
        let n_inside = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let lock = lock_folder(&folder).unwrap();
                        assert_eq!(n_inside.fetch_add(1, Ordering::SeqCst), 0);
                        n_inside.fetch_sub(1, Ordering::SeqCst);
                        // The last act: whoever comes next makes another folder and locks that.
                        fs::remove_dir(&folder).unwrap();
                        drop(lock);
                    }
                });
            }
        });
    }

    #[test]
    fn a_file_in_the_way_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let error = lock_folder(&file).unwrap_err().to_string();
        assert!(error.starts_with("Could not create"), "{error}");
    }
}
