//! Opens files for reading: regular files only, without blocking, with a limit if the whole file is read.
//!
//! Opening a pipe waits for its writer, and a device may have no end. So files are opened without blocking, and
//! anything but a regular file is refused before any byte is read. Links are followed here because the user named the
//! file. Files in a folder that `mc` manages are opened with [`crate::folder::Folder`], which follows no links.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{OFlags, Timespec, Timestamps, UTIME_NOW, futimens};

use crate::path_error::PathError;
use crate::status::Kind;

/// Opens a regular file for reading. Follows links.
///
/// # Errors
/// [`PathError::NotRegular`] for a folder, a pipe, a socket or a device; and errors of the system call.
pub fn open(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC).bits();
    let file = match OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path) {
        // A socket cannot be opened at all.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) => {
            return Err(PathError::NotRegular { path: path.to_owned(), found: Kind::Socket }.into());
        }
        other => other?,
    };
    checked(file, path)
}

/// Reads a whole regular file. Follows links.
///
/// * `limit`: maximum size in bytes
///
/// # Errors
/// As [`open`]; [`PathError::TooLarge`] above the limit.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_all(&open(path)?, path, limit)
}

/// Reads a whole regular file as text. Follows links.
///
/// * `limit`: maximum size in bytes
///
/// # Errors
/// As [`read`]; `InvalidData` if it is not UTF-8.
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    let text = String::from_utf8(read(path, limit)?);
    text.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()))
}

/// Refuses anything but a regular file.
pub(crate) fn checked(file: File, path: &Path) -> io::Result<File> {
    match Kind::from(file.metadata()?.file_type()) {
        Kind::File => Ok(file),
        found => Err(PathError::NotRegular { path: path.to_owned(), found }.into()),
    }
}

/// Sets the modification time of an open file to now, by the clock of the file system, which for a network file system
/// is the server's.
///
/// # Errors
/// If the process may not write to the file.
pub fn touch(file: &File) -> io::Result<()> {
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    Ok(futimens(file, &Timestamps { last_access: now, last_modification: now })?)
}

/// Reads an open file from its current position to the end, unless that is more than `limit` bytes.
pub(crate) fn read_all(file: &File, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let too_large = || PathError::TooLarge { path: path.to_owned(), limit };
    let n_bytes = file.metadata()?.len();
    if n_bytes > limit {
        return Err(too_large().into());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(n_bytes).unwrap_or(0));
    // The file may grow meanwhile, and some files (in `/proc`) report a size of 0.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(too_large().into());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn only_regular_files_are_opened_and_nothing_blocks() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("file"), "text").unwrap();
        symlink("file", path("link")).unwrap();
        symlink("/dev/zero", path("zero")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());
        let _socket = UnixListener::bind(path("socket")).unwrap();
        assert_eq!(read(&path("file"), 4).unwrap(), b"text");
        assert_eq!(read_text(&path("link"), 100).unwrap(), "text");
        for (name, found) in
            [("zero", "a device"), ("pipe", "a pipe"), ("socket", "a socket"), ("", "a folder")]
        {
            let error = read(&path(name), 100).unwrap_err();
            assert!(PathError::of(&error).is_some(), "{name}: {error}");
            assert!(error.to_string().ends_with(&format!("is {found}, expected a regular file")), "{error}");
        }
        assert_eq!(open(&path("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_file_that_is_touched_was_modified_now() {
        let file = tempfile::tempfile().unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        touch(&file).unwrap();
        assert!(file.metadata().unwrap().modified().unwrap().elapsed().unwrap().as_secs() < 60);
    }

    #[test]
    fn a_file_above_the_limit_is_refused_before_it_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sparse");
        File::create(&path).unwrap().set_len(4 << 40).unwrap();
        let error = read(&path, 1 << 20).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert!(error.to_string().contains("more than 1048576 bytes"), "{error}");
    }
}
