//! Whether a fetched folder is still as it was when its files were verified, without reading them.
//!
//! A file whose inode, length and times are the same has the same bytes: what is fetched is read-only, and nobody
//! writes to it by accident within one tick of the clock. When anything differs the files are read and hashed.

use std::io;
use std::path::Path;

use mc_files::folder::Folder;
use mc_files::status::{Kind, Status};

use crate::lock_file::LockedFile;

/// What the file system says about the files of a folder, as text.
///
/// # Errors
/// When one is missing, is not a plain file, or is reached through a link.
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
