//! Where a process keeps its unfinished files, and how the leftovers of a dead one are found.
//!
//! Each session is a folder of its own under a shared root, locked for as long as its process lives. The
//! system releases the lock when the process ends, however it ends; so a folder that can be locked belongs to
//! nobody and is removed by the next process that starts a session. The root is locked while sessions are
//! created and removed, so no folder is ever seen between its creation and its lock.

use crate::error::StoreError;
use crate::folder_lock::lock_folder;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

const PREFIX: &str = "session-";

/// A folder for unfinished files, removed with everything in it when dropped.
#[derive(Debug)]
pub struct Session {
    root: PathBuf,
    dir: PathBuf,
    // Held for its lock.
    _lock: File,
}

impl Session {
    /// Starts a session under `root`, which is created if need be, and removes what dead sessions left there.
    ///
    /// # Errors
    /// If the folder cannot be created or locked.
    pub fn start(root: &Path) -> Result<Self, StoreError> {
        let root_lock = lock_folder(root)?;
        remove_dead_sessions(root);
        let dir = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(root)
            .map_err(|source| StoreError::io("create a folder in", root, source))?
            .keep();
        let lock = File::open(&dir).and_then(|file| file.lock().map(|()| file));
        let lock = lock.map_err(|source| StoreError::io("lock", &dir, source))?;
        drop(root_lock);
        Ok(Self { root: root.to_owned(), dir, _lock: lock })
    }

    /// The session's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A new empty file in the session's folder.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn file(&self) -> Result<tempfile::NamedTempFile, StoreError> {
        tempfile::NamedTempFile::new_in(&self.dir)
            .map_err(|source| StoreError::io("create a file in", &self.dir, source))
    }

    /// A new empty folder in the session's folder.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn folder(&self) -> Result<tempfile::TempDir, StoreError> {
        tempfile::TempDir::new_in(&self.dir)
            .map_err(|source| StoreError::io("create a folder in", &self.dir, source))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Nobody can act on a failure here; what stays behind is removed by the next session.
        let root_lock = lock_folder(&self.root);
        drop(fs::remove_dir_all(&self.dir));
        // Succeeds only for the last session of a root.
        drop(fs::remove_dir(&self.root));
        drop(root_lock);
    }
}

fn remove_dead_sessions(root: &Path) {
    let Ok(entries) = fs::read_dir(root) else { return };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let Ok(dir) = File::open(entry.path()) else { continue };
        match dir.try_lock() {
            Ok(()) => drop(fs::remove_dir_all(entry.path())),
            // Its process lives, or cannot be asked: either way its files are not ours.
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_session_is_removed_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("tmp");
        let live = Session::start(&root).unwrap();
        let live_file = live.file().unwrap();
        let dead = root.join("session-of-a-killed-process");
        fs::create_dir_all(dead.join("folder")).unwrap();
        fs::write(dead.join("folder/half"), b"half a blo").unwrap();
        let foreign = root.join("not-ours");
        fs::create_dir(&foreign).unwrap();

        let next = Session::start(&root).unwrap();
        assert!(!dead.exists());
        assert!(live_file.path().exists());
        assert!(next.dir().exists());
        assert!(foreign.exists());
    }

    #[test]
    fn the_last_session_takes_the_root_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("tmp");
        let one = Session::start(&root).unwrap();
        let two = Session::start(&root).unwrap();
        fs::write(one.dir().join("unfinished"), b"x").unwrap();
        drop(one);
        assert!(root.exists());
        drop(two);
        assert!(!root.exists());
    }

    #[test]
    fn many_sessions_start_and_end_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("tmp");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        let session = Session::start(&root).unwrap();
                        session.file().unwrap();
                        assert!(session.dir().exists());
                    }
                });
            }
        });
        assert!(!root.exists());
    }
}
