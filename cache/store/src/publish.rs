//! Makes a small file appear at once: written aside, then renamed.
//!
//! For the store's notes. They are not synced: each carries a checksum ([`crate::record`]), so one that a
//! crash of the machine cut short is a miss. Blobs are synced where they are written.

use crate::error::StoreError;
use crate::session::Session;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Permissions of everything that is complete: readable by all, writable by nobody.
pub(crate) const READ_ONLY: u32 = 0o444;

/// Writes `bytes` to `path`, replacing what is there. The session must be on the same file system.
///
/// # Errors
/// If the file cannot be written; then `path` is as it was.
pub fn publish(session: &Session, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut file = session.file()?;
    let failed = |source| StoreError::io_needing("write", path, bytes.len() as u64, source);
    file.write_all(bytes).map_err(failed)?;
    file.as_file().set_permissions(fs::Permissions::from_mode(READ_ONLY)).map_err(failed)?;
    create_parent(path)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// Creates the folder that `path` lies in.
///
/// # Errors
/// If it cannot be created.
pub fn create_parent(path: &Path) -> Result<(), StoreError> {
    let parent = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(|source| StoreError::io("create", parent, source))
}
