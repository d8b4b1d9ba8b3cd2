//! Paths in a store's folder, and the version of its format.
//!
//! | path | content |
//! |---|---|
//! | `VERSION` | the format; written first, so a folder without it is not a store |
//! | `cas/ab/<hash>` | blobs, read-only, under the hash of their bytes |
//! | `ac/ab/<hash>` | action results, under the hash of the action |
//! | `memo/verified.log` | the verified blobs, with their stamps at that time |
//! | `memo/inputs/ab/<hash>` | digests of input files, under the hash of device and inode |
//! | `memo/durations` | durations of actions, for estimates |
//! | `out/ab/<hash>` | records of materialized outputs, under the hash of the destination |
//! | `tmp/` | unfinished files ([`crate::session`]) |
//! | `quarantine/` | blobs whose bytes did not match, kept for inspection |
//! | `evicted/<hash>` | blobs that a collection ([`super::collect`]) removes once they are known to be unused |

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mc_digest::digest::Digest;
use mc_files::file_observer::FileObserver;
use mc_files::folder::Folder;

use crate::error::StoreError;
use crate::sharded::sharded;

/// The first line of `VERSION`.
const VERSION: &str = "mc-store 1";

/// Limit on the bytes read of `VERSION`.
const MAX_VERSION: u64 = 4096;

/// Attempts to find a free name for an unfinished `VERSION`.
const MAX_ATTEMPTS: u32 = 1000;

/// The paths of a store, relative to its folder.
#[derive(Clone, Debug)]
pub struct Layout {
    folder: Arc<Folder>,
}

impl Layout {
    /// Checks that `root` is a store of the known format; makes it one if it is empty or absent.
    ///
    /// * `observer`: receives a call for every file operation below the folder, in tests
    ///
    /// # Errors
    /// Fails if the folder cannot be created or read, holds another format, or holds something else.
    pub fn prepare(root: &Path, observer: Option<Arc<dyn FileObserver>>) -> Result<Self, StoreError> {
        // Absolute, so that a later change of the working directory does not move the store.
        let root = std::path::absolute(root).map_err(|source| StoreError::io("resolve", root, source))?;
        let folder = Folder::create(&root).map_err(|source| StoreError::io("create", &root, source))?;
        let folder = folder.watched_by(observer);
        match folder.read(Path::new("VERSION"), MAX_VERSION) {
            Ok(found) => check_version(&root, &found)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                check_empty(&folder)?;
                write_version(&folder)?;
            }
            Err(source) => return Err(StoreError::io("read", &root.join("VERSION"), source)),
        }
        Ok(Self { folder: Arc::new(folder) })
    }

    /// The store's folder, as a path.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// The store's folder, open.
    pub fn folder(&self) -> &Arc<Folder> {
        &self.folder
    }

    /// The absolute path of one of the paths below, for messages.
    pub fn at(&self, path: &Path) -> PathBuf {
        self.folder.at(path)
    }

    /// The folder of all blobs.
    pub fn blobs(&self) -> &'static Path {
        Path::new("cas")
    }

    /// The file of a blob.
    pub fn blob(&self, hash: &Digest) -> PathBuf {
        sharded(self.blobs(), hash)
    }

    /// The folder of all action results.
    pub fn actions(&self) -> &'static Path {
        Path::new("ac")
    }

    /// The file of an action's result.
    pub fn action(&self, hash: &Digest) -> PathBuf {
        sharded(self.actions(), hash)
    }

    /// The log of checked blobs.
    pub fn verified_log(&self) -> &'static Path {
        Path::new("memo/verified.log")
    }

    /// The folder of the digests of input files.
    pub fn inputs(&self) -> &'static Path {
        Path::new("memo/inputs")
    }

    /// The notes about the durations of actions.
    pub fn durations(&self) -> &'static Path {
        Path::new("memo/durations")
    }

    /// The folder of the records of materialized outputs.
    pub fn outputs(&self) -> &'static Path {
        Path::new("out")
    }

    /// The folder of unfinished files.
    pub fn unfinished(&self) -> &'static Path {
        Path::new("tmp")
    }

    /// The folder of blobs that a collection is about to remove.
    pub fn evicted(&self) -> &'static Path {
        Path::new("evicted")
    }

    /// The file of a blob that a collection is about to remove.
    pub(crate) fn evicted_blob(&self, hash: &Digest) -> PathBuf {
        self.evicted().join(hash.to_string())
    }

    /// The folder of damaged blobs.
    pub fn quarantine(&self) -> &'static Path {
        Path::new("quarantine")
    }
}

fn check_version(root: &Path, found: &[u8]) -> Result<(), StoreError> {
    let found = String::from_utf8_lossy(found);
    let found = found.lines().next().unwrap_or_default();
    if found == VERSION {
        return Ok(());
    }
    let found = found.chars().take(40).collect();
    Err(StoreError::UnknownVersion { path: root.to_owned(), expected: VERSION.to_owned(), found })
}

fn check_empty(folder: &Folder) -> Result<(), StoreError> {
    let root = folder.path();
    for entry in folder.entries().map_err(|source| StoreError::io("read", root, source))? {
        let found = entry.name.to_string_lossy().into_owned();
        // Another process may be creating the same store at this moment.
        let is_ours = found.starts_with(".VERSION")
            || found == "VERSION"
            || folder.status_of(Path::new("VERSION")).is_ok();
        if !is_ours {
            return Err(StoreError::NotAStore { path: root.to_owned(), found });
        }
    }
    Ok(())
}

fn write_version(folder: &Folder) -> Result<(), StoreError> {
    let version = Path::new("VERSION");
    let failed = |source| StoreError::io("write", &folder.at(version), source);
    let (mut file, name) = unfinished_version(folder).map_err(failed)?;
    let sync = |file: &File| folder.sync(&[file]).into_iter().collect::<io::Result<()>>();
    let written = file.write_all(format!("{VERSION}\n").as_bytes()).and_then(|()| sync(&file));
    let renamed = written.and_then(|()| folder.rename(&name, folder, version));
    renamed.map_err(|source| {
        // The first error is the one to report.
        drop(folder.remove_file(&name));
        failed(source)
    })?;
    // After a power loss the store must at least be recognized by its `VERSION`. Some file systems do not sync folders;
    // they may then lose the name, and the folder is rejected until it is emptied.
    drop(folder.file().map(|names| sync(&names)));
    Ok(())
}

/// Creates a new file next to `VERSION`. A killed process may have left the same name.
fn unfinished_version(folder: &Folder) -> io::Result<(File, PathBuf)> {
    let mut last = None;
    for attempt in 0..MAX_ATTEMPTS {
        let name = PathBuf::from(format!(".VERSION-{}-{attempt}", std::process::id()));
        match folder.create_file(&name, 0o644) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = Some(error),
            made => return made.map(|file| (file, name)),
        }
    }
    Err(last.unwrap_or_else(|| io::ErrorKind::AlreadyExists.into()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn an_absent_folder_becomes_a_store() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("deep/cache");
        Layout::prepare(&root, None).unwrap();
        Layout::prepare(&root, None).unwrap();
        assert_eq!(fs::read_to_string(root.join("VERSION")).unwrap(), "mc-store 1\n");
    }

    #[test]
    fn an_unknown_version_is_rejected_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("VERSION"), "mc-store 99\n").unwrap();
        let error = Layout::prepare(dir.path(), None).unwrap_err();
        let root = dir.path().display();
        assert_eq!(
            error.to_string(),
            format!(
                "`{root}/VERSION` says that the store has format `mc-store 99`, expected `mc-store 1`; \
                 use the `mc` that wrote it, or choose another folder with `--cache-dir`"
            )
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_with_other_content_is_rejected() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thesis.tex"), "").unwrap();
        let error = Layout::prepare(dir.path(), None).unwrap_err();
        assert!(error.to_string().contains("found `thesis.tex`"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
