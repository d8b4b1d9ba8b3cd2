//! `mc.lock` of a workspace.

use std::io::Write as _;
use std::path::Path;

use mc_fetch::lock_file::{LOCK_FILE, LockFile, MAX_LOCK};
use mc_files::folder::Folder;
use mc_files::regular::read_text;

use crate::fetching::error::FetchingError;
use crate::workspace::Workspace;

/// Reads `mc.lock`; a workspace without one has pinned nothing.
///
/// # Errors
/// If it cannot be read or parsed.
pub fn read_lock(workspace: &Workspace) -> Result<LockFile, FetchingError> {
    let path = workspace.root.join(LOCK_FILE);
    let failed = |reason: String| FetchingError::LockFile { path: path.clone(), reason };
    let text = match read_text(&path, MAX_LOCK) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(LockFile::default()),
        text => text.map_err(|error| failed(error.to_string()))?,
    };
    LockFile::parse(&text).map_err(|error| failed(error.to_string()))
}

/// Writes `mc.lock`, completely or not at all.
pub(crate) fn write_lock(workspace: &Workspace, lock: &LockFile) -> Result<(), FetchingError> {
    let write = || {
        // A link in its place is replaced, not followed.
        let root = Folder::open(&workspace.root)?;
        let name = format!(".{LOCK_FILE}.{}", std::process::id());
        let unfinished = Path::new(&name);
        root.remove_file(unfinished)?;
        let written = root.create_file(unfinished, 0o666).and_then(|mut file| {
            file.write_all(lock.text().as_bytes())?;
            file.sync_all()?;
            root.rename(unfinished, &root, Path::new(LOCK_FILE))
        });
        written.inspect_err(|_| drop(root.remove_file(unfinished)))
    };
    let path = workspace.root.join(LOCK_FILE);
    write().map_err(|source| FetchingError::WriteLockFile { path, source })
}
