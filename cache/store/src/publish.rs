//! Makes a small file appear at once: written aside, then renamed.
//!
//! For the store's notes. They are not synced here: each carries a checksum ([`crate::record`]), so one that a loss of
//! power cut short is a miss.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use mc_files::folder::Folder;
use mc_files::path_error::PathError;

use crate::error::StoreError;
use crate::session::Session;

/// Permissions of everything that is complete: readable by all, writable by nobody.
pub(crate) const READ_ONLY: u32 = 0o444;

/// The most bytes of a note. Every note is far smaller; a larger file is none of ours.
pub(crate) const MAX_NOTE: u64 = 256 << 20;

/// Writes `bytes` to `path` below `base`, replacing what is there, and returns the file. The session must be on the same file system.
///
/// # Errors
/// If the file cannot be written, or a folder above it is a link; then `path` is as it was.
pub fn publish(session: &Session, base: &Folder, path: &Path, bytes: &[u8]) -> Result<File, StoreError> {
    let failed = |source| StoreError::io_needing("write", &base.at(path), bytes.len() as u64, source);
    let mut unfinished = session.file()?;
    unfinished.file.write_all(bytes).map_err(failed)?;
    unfinished.file.set_permissions(fs::Permissions::from_mode(READ_ONLY)).map_err(failed)?;
    create_parent(base, path)?;
    unfinished.rename(base, path).map_err(failed)
}

/// Creates the folder below `base` that `path` lies in.
///
/// # Errors
/// If it cannot be created, or a part of the path is a link.
pub(crate) fn create_parent(base: &Folder, path: &Path) -> Result<(), StoreError> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => base
            .create_folder(parent)
            .map(drop)
            .map_err(|source| StoreError::io("create", &base.at(parent), source)),
        _ => Ok(()),
    }
}

/// The bytes of a note; `None` if there is none, or something else than a file has its name.
///
/// # Errors
/// If a folder above it is a link, or the system refuses.
pub(crate) fn read_note(base: &Folder, path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match base.read(path, MAX_NOTE) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if is_in_place_of(base, path, &error) => Ok(None),
        Err(source) => Err(StoreError::io("read", &base.at(path), source)),
    }
}

/// Tells whether an error says that something else is in the place of the file itself, and not of a folder above it.
pub(crate) fn is_in_place_of(base: &Folder, path: &Path, error: &io::Error) -> bool {
    match PathError::of(error) {
        Some(PathError::Link { path: link, .. }) => *link == base.at(path),
        Some(PathError::NotRegular { .. } | PathError::TooLarge { .. }) => true,
        Some(PathError::NotBelow { .. }) | None => false,
    }
}
