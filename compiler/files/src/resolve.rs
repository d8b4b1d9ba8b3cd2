//! Opens a path below a directory handle on which no part may be a symbolic link.
//!
//! Linux has a system call for this (`openat2` with `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS`, since 5.6). Elsewhere, and
//! where a sandbox forbids the call, each part is opened separately with `O_NOFOLLOW`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;

use crate::path_error::PathError;

/// Flags for opening a folder.
pub(crate) const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Opens `path` below `folder`.
///
/// * `flags`: `O_CLOEXEC` and `O_NOFOLLOW` are added
/// * `mode`: permissions of a new file
///
/// # Errors
/// [`PathError::NotBelow`] if the path has anything but plain names; `ELOOP` or `ENOTDIR` if a part is a link; and
/// errors of the system call.
pub(crate) fn open_below(
    folder: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
    mode: Mode,
) -> io::Result<OwnedFd> {
    check(path)?;
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    #[cfg(target_os = "linux")]
    if let Some(opened) = in_one_call(folder, path, flags, mode) {
        return opened;
    }
    step_by_step(folder, path, flags, mode)
}

/// Refuses empty paths and those with `..`, `.` or a root.
pub(crate) fn check(path: &Path) -> io::Result<()> {
    let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    if is_plain && !path.as_os_str().is_empty() {
        return Ok(());
    }
    Err(PathError::NotBelow { path: path.to_owned() }.into())
}

/// Opens the path with `openat2`; returns `None` if the call does not exist or is forbidden.
#[cfg(target_os = "linux")]
fn in_one_call(
    folder: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
    mode: Mode,
) -> Option<io::Result<OwnedFd>> {
    use std::sync::atomic::{AtomicBool, Ordering};

    use rustix::fs::{ResolveFlags, openat2};

    /// Number of attempts before a path that other processes keep renaming is opened part by part.
    const MAX_ATTEMPTS: usize = 16;
    static IS_ABSENT: AtomicBool = AtomicBool::new(false);

    if IS_ABSENT.load(Ordering::Relaxed) {
        return None;
    }
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    for _ in 0..MAX_ATTEMPTS {
        match openat2(folder, path, flags, mode, resolve) {
            // A rename elsewhere interfered with the call.
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => {
                // A refusal of this one file looks the same; opening part by part reports it too.
                IS_ABSENT.store(is_absent(), Ordering::Relaxed);
                return None;
            }
            other => return Some(other.map_err(io::Error::from)),
        }
    }
    None
}

/// Returns true if the system call fails even where nothing could be refused.
#[cfg(target_os = "linux")]
fn is_absent() -> bool {
    use rustix::fs::{CWD, ResolveFlags, openat2};
    openat2(CWD, ".", FOLDER, Mode::empty(), ResolveFlags::BENEATH)
        .is_err_and(|error| matches!(error, Errno::NOSYS | Errno::PERM | Errno::INVAL))
}

fn step_by_step(folder: BorrowedFd<'_>, path: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
    let mut parts = path.iter().peekable();
    let mut here: Option<OwnedFd> = None;
    while let Some(part) = parts.next() {
        let above = here.as_ref().map_or(folder, AsFd::as_fd);
        let flags = if parts.peek().is_some() { FOLDER | OFlags::NOFOLLOW } else { flags };
        let opened = loop {
            match openat(above, part, flags, mode) {
                Err(Errno::INTR) => {}
                other => break other?,
            }
        };
        here = Some(opened);
    }
    here.ok_or_else(|| PathError::NotBelow { path: path.to_owned() }.into())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;

    use super::*;

    type Way = fn(BorrowedFd<'_>, &Path, OFlags, Mode) -> io::Result<OwnedFd>;

    #[test]
    fn both_ways_open_the_same_and_refuse_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/file"), "inside").unwrap();
        fs::write(dir.path().join("secret"), "outside").unwrap();
        symlink(dir.path(), root.join("out")).unwrap();
        symlink("b", root.join("a/in")).unwrap();
        symlink("file", root.join("a/b/link")).unwrap();
        symlink("nowhere", root.join("a/b/dangling")).unwrap();
        let handle = File::open(&root).unwrap();
        let ways: [Way; 2] = [open_below, step_by_step];
        for way in ways {
            let open = |path: &str, flags| way(handle.as_fd(), Path::new(path), flags, Mode::from(0o600));
            let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            assert!(open("a/b/file", flags).is_ok());
            for path in ["out/secret", "a/in/file", "a/b/link", "a/b/dangling"] {
                assert!(open(path, flags).is_err(), "{path}");
                assert!(open(path, flags | OFlags::CREATE | OFlags::WRONLY).is_err(), "{path}");
            }
            assert_eq!(open("a/none", flags).unwrap_err().kind(), io::ErrorKind::NotFound);
        }
        for path in ["../secret", "a/../../secret", "/etc/passwd", "", ".", "a/./b"] {
            let opened = open_below(handle.as_fd(), Path::new(path), OFlags::RDONLY, Mode::empty());
            // `Path` itself drops a dot between two names.
            assert_eq!(opened.is_ok(), path == "a/./b", "{path}");
        }
        assert!(!dir.path().join("nowhere").exists());
    }
}
