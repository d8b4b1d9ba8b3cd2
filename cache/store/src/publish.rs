//! Publishes a small file atomically: writes a temporary file, then renames it.
//!
//! Used for the store's own records. They are not synced: each carries a checksum ([`crate::record`]), so one that a
//! power loss truncated is a miss.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use mc_files::folder::Folder;
use mc_files::path_error::PathError;

use crate::error::StoreError;
use crate::session::Session;

/// Permissions of everything that is complete: readable by everyone, writable by no one.
pub(crate) const READ_ONLY: u32 = 0o444;

/// Limit on the bytes of a record. All records are far smaller; a larger file was not written by a store.
pub(crate) const MAX_NOTE: u64 = 256 << 20;

/// Writes `bytes` to `path` below `base`, replacing an existing file, and returns the file. The session must be on the
/// same file system.
///
/// # Errors
/// Fails if the file cannot be written, or a folder above it is a link; then `path` is unchanged.
pub fn publish(session: &Session, base: &Folder, path: &Path, bytes: &[u8]) -> Result<File, StoreError> {
    let failed = |source| StoreError::io_needing("write", &base.at(path), bytes.len() as u64, source);
    let mut unfinished = session.file()?;
    unfinished.file.write_all(bytes).map_err(failed)?;
    unfinished.file.set_permissions(fs::Permissions::from_mode(READ_ONLY)).map_err(failed)?;
    create_parent(base, path)?;
    unfinished.rename(base, path).map_err(failed)
}

/// Creates the parent folder of `path` below `base`.
///
/// # Errors
/// Fails if it cannot be created, or a part of the path is a link.
pub(crate) fn create_parent(base: &Folder, path: &Path) -> Result<(), StoreError> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => base
            .create_folder(parent)
            .map(drop)
            .map_err(|source| StoreError::io("create", &base.at(parent), source)),
        _ => Ok(()),
    }
}

/// The bytes of a record file; `None` if it is absent or not a regular file.
///
/// # Errors
/// Fails if a folder above it is a link, or it cannot be read.
pub(crate) fn read_note(base: &Folder, path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match base.read(path, MAX_NOTE) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if is_in_place_of(base, path, &error) => Ok(None),
        Err(source) => Err(StoreError::io("read", &base.at(path), source)),
    }
}

/// Returns true if the error means that the path itself, and not a folder above it, is something other than a regular
/// file.
pub(crate) fn is_in_place_of(base: &Folder, path: &Path, error: &io::Error) -> bool {
    match PathError::of(error) {
        Some(PathError::Link { path: link, .. }) => *link == base.at(path),
        Some(PathError::NotRegular { .. } | PathError::TooLarge { .. }) => true,
        Some(PathError::NotBelow { .. }) | None => false,
    }
}
