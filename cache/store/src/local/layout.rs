//! Where things are in a store's folder, and which format of it this program knows.
//!
//! | path | content |
//! |---|---|
//! | `VERSION` | the format; written first, so a folder without it is not a store |
//! | `cas/ab/<hash>` | blobs, read-only, under the hash of their bytes |
//! | `ac/ab/<hash>` | action results, under the hash of the action |
//! | `memo/verified.log` | which blobs were checked, and their stamps then |
//! | `memo/inputs/ab/<hash>` | digests of input files, under the hash of device and inode |
//! | `out/ab/<hash>` | what was materialized where, under the hash of the destination |
//! | `tmp/` | unfinished files ([`crate::session`]) |
//! | `quarantine/` | blobs whose bytes did not match, kept for a look |

use crate::error::StoreError;
use mc_digest::digest::Digest;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The first line of `VERSION`.
const VERSION: &str = "mc-store 1";

/// The paths of a store.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Checks that `root` is a store of the known format; makes it one if it is empty or absent.
    ///
    /// # Errors
    /// If the folder cannot be created or read, holds another format, or holds something else.
    pub fn prepare(root: &Path) -> Result<Self, StoreError> {
        // Absolute, so that a later change of the working directory does not move the store.
        let root = std::path::absolute(root).map_err(|source| StoreError::io("resolve", root, source))?;
        fs::create_dir_all(&root).map_err(|source| StoreError::io("create", &root, source))?;
        let layout = Self { root };
        let version_path = layout.root.join("VERSION");
        match fs::read(&version_path) {
            Ok(found) => check_version(&layout.root, &found)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                check_empty(&layout.root)?;
                write_version(&layout.root, &version_path)?;
            }
            Err(source) => return Err(StoreError::io("read", &version_path, source)),
        }
        Ok(layout)
    }

    /// The store's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of all blobs.
    pub fn blobs(&self) -> PathBuf {
        self.root.join("cas")
    }

    /// The file of a blob.
    pub fn blob(&self, hash: &Digest) -> PathBuf {
        sharded(self.blobs(), hash)
    }

    /// The folder of all action results.
    pub fn actions(&self) -> PathBuf {
        self.root.join("ac")
    }

    /// The file of an action's result.
    pub fn action(&self, hash: &Digest) -> PathBuf {
        sharded(self.actions(), hash)
    }

    /// The log of checked blobs.
    pub fn verified_log(&self) -> PathBuf {
        self.root.join("memo").join("verified.log")
    }

    /// The folder of the digests of input files.
    pub fn inputs(&self) -> PathBuf {
        self.root.join("memo").join("inputs")
    }

    /// The folder of the records of what was materialized.
    pub fn outputs(&self) -> PathBuf {
        self.root.join("out")
    }

    /// The folder of unfinished files.
    pub fn unfinished(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// The folder of damaged blobs.
    pub fn quarantine(&self) -> PathBuf {
        self.root.join("quarantine")
    }
}

/// `folder/ab/abcd…`: 256 folders keep each one small.
pub(crate) fn sharded(mut folder: PathBuf, hash: &Digest) -> PathBuf {
    let hex = hash.to_string();
    folder.push(&hex[..2]);
    folder.push(hex);
    folder
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

fn check_empty(root: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::io("read", root, source);
    for entry in fs::read_dir(root).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        // Another process may be making the same store at this moment.
        let is_ours = name.starts_with(".VERSION") || name == "VERSION" || root.join("VERSION").exists();
        if !is_ours {
            return Err(StoreError::NotAStore { path: root.to_owned(), found: name });
        }
    }
    Ok(())
}

fn write_version(root: &Path, version_path: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::io("write", version_path, source);
    let mut file = tempfile::Builder::new().prefix(".VERSION").tempfile_in(root).map_err(failed)?;
    file.write_all(format!("{VERSION}\n").as_bytes()).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(version_path).map_err(|error| failed(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_folder_becomes_a_store() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("deep/cache");
        Layout::prepare(&root).unwrap();
        Layout::prepare(&root).unwrap();
        assert_eq!(fs::read_to_string(root.join("VERSION")).unwrap(), "mc-store 1\n");
    }

    #[test]
    fn an_unknown_version_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("VERSION"), "mc-store 99\n").unwrap();
        let error = Layout::prepare(dir.path()).unwrap_err();
        let root = dir.path().display();
        assert_eq!(
            error.to_string(),
            format!(
                "The store at `{root}` has format `mc-store 99`, expected `mc-store 1`; \
                 use the `mc` that wrote it, or choose another folder with `--cache-dir`"
            )
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_with_other_things_in_it_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thesis.tex"), "").unwrap();
        let error = Layout::prepare(dir.path()).unwrap_err();
        assert!(error.to_string().contains("found `thesis.tex`"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
