//! Renames that systems have in different ways: to a name that is free, and of two entries at once.

use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;

use rustix::fs::{AtFlags, unlinkat};
use rustix::io::Errno;

/// Swaps two entries in one moment.
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub(crate) fn exchange(old: BorrowedFd<'_>, from: &Path, new: BorrowedFd<'_>, to: &Path) -> io::Result<()> {
    Ok(rustix::fs::renameat_with(old, from, new, to, rustix::fs::RenameFlags::EXCHANGE)?)
}

/// Refuses, because this system cannot swap two entries in one moment.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub(crate) fn exchange(_: BorrowedFd<'_>, _: &Path, _: BorrowedFd<'_>, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Renames an entry to a name that is free.
pub(crate) fn rename_new(old: BorrowedFd<'_>, from: &Path, new: BorrowedFd<'_>, to: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    match rustix::fs::renameat_with(old, from, new, to, rustix::fs::RenameFlags::NOREPLACE) {
        // A file system or a kernel that does not have it.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
        other => return Ok(other?),
    }
    // A second name, which must be free, and the first one goes.
    rustix::fs::linkat(old, from, new, to, AtFlags::empty())?;
    Ok(unlinkat(old, from, AtFlags::empty())?)
}
