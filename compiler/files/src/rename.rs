//! Renames that differ between systems: to a name that is not in use, and swapping two entries.

use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;

use rustix::fs::{AtFlags, unlinkat};
use rustix::io::Errno;

/// Swaps two entries atomically.
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub(crate) fn exchange(old: BorrowedFd<'_>, from: &Path, new: BorrowedFd<'_>, to: &Path) -> io::Result<()> {
    Ok(rustix::fs::renameat_with(old, from, new, to, rustix::fs::RenameFlags::EXCHANGE)?)
}

/// Fails, because this system cannot swap two entries atomically.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub(crate) fn exchange(_: BorrowedFd<'_>, _: &Path, _: BorrowedFd<'_>, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Renames an entry to a name that is not in use.
pub(crate) fn rename_new(old: BorrowedFd<'_>, from: &Path, new: BorrowedFd<'_>, to: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    match rustix::fs::renameat_with(old, from, new, to, rustix::fs::RenameFlags::NOREPLACE) {
        // The file system or the kernel does not support it.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
        other => return Ok(other?),
    }
    // Add a second name, which fails if it is in use, then remove the first.
    rustix::fs::linkat(old, from, new, to, AtFlags::empty())?;
    Ok(unlinkat(old, from, AtFlags::empty())?)
}
