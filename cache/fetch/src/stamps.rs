//! Whether a fetched folder is still as it was when its files were verified, without reading them.
//!
//! A file whose inode, length and times are the same has the same bytes: what is fetched is read-only, and nobody
//! writes to it by accident within one tick of the clock. When anything differs the files are read and hashed.

use std::fs::{self, Metadata};
use std::io;
use std::path::Path;

use crate::lock_file::LockedFile;

/// What the file system says about the files of a folder, as text.
///
/// # Errors
/// When one is missing or is no plain file.
pub fn stamps(folder: &Path, files: &[LockedFile]) -> io::Result<String> {
    let mut text = String::new();
    for file in files {
        let metadata = fs::symlink_metadata(folder.join(&file.name))?;
        if !metadata.is_file() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        text.push_str(&format!("{} {} {}\n", stamp(&metadata), metadata.len(), file.name));
    }
    Ok(text)
}

#[cfg(unix)]
fn stamp(metadata: &Metadata) -> String {
    use std::os::unix::fs::MetadataExt;
    let (modified, changed) = (metadata.mtime_nsec(), metadata.ctime_nsec());
    format!("{} {}.{modified:09} {}.{changed:09}", metadata.ino(), metadata.mtime(), metadata.ctime())
}

#[cfg(not(unix))]
fn stamp(metadata: &Metadata) -> String {
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    format!("{}", modified.unwrap_or_default().as_nanos())
}
