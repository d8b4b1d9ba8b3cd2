//! Detects changes of a fetched folder since its files were verified, without reading them.
//!
//! A file with the same inode, length and times has the same bytes: fetched files are read-only, and no program writes
//! to one by accident within one tick of the clock. If anything differs, the files are read and hashed.

use std::io;
use std::path::Path;

use mc_files::folder::Folder;
use mc_files::status::{Kind, Status};

use crate::lock_file::LockedFile;

/// Status of the files of a folder, as text.
///
/// # Errors
/// Fails if a file is missing, is not a regular file, or is reached through a link.
pub fn stamps(folder: &Folder, files: &[LockedFile]) -> io::Result<String> {
    const SECOND: i128 = 1_000_000_000;
    let mut text = String::new();
    for file in files {
        let Status { kind, inode, n_bytes, modified_ns, changed_ns, .. } =
            folder.status_of(Path::new(&file.name))?;
        if kind != Kind::File {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let time = |ns: i128| format!("{}.{:09}", ns.div_euclid(SECOND), ns.rem_euclid(SECOND));
        let (modified, changed) = (time(modified_ns), time(changed_ns));
        text.push_str(&format!("{inode} {modified} {changed} {n_bytes} {}\n", file.name));
    }
    Ok(text)
}
