//! Removes folders with their contents, through handles, so that no link is ever followed.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, Mode, fchmod, fstat, unlinkat};
use rustix::io::Errno;

use crate::resolve::{FOLDER, open_below};
use crate::status::Status;

/// Number of attempts to empty a folder that other processes fill meanwhile.
const MAX_ATTEMPTS: usize = 16;

/// Removes the entry with this name in the folder: a file, a link, or a folder with its contents. Succeeds if the entry
/// does not exist.
pub(crate) fn remove_all(folder: BorrowedFd<'_>, name: &Path) -> io::Result<()> {
    for _ in 0..MAX_ATTEMPTS {
        match unlink(folder, name) {
            Err(error) if is_folder(&error) => {}
            other => return other,
        }
        let opened = match open_folder(folder, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            // Its kind changed meanwhile: look again.
            Err(error) if is_not_folder(&error) => continue,
            other => other?,
        };
        empty(opened)?;
        match unlinkat(folder, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            // Another process added an entry or replaced one.
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR | Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(io::Error::other("other processes keep adding files to it"))
}

/// A folder that is being emptied.
struct Emptied {
    folder: OwnedFd,
    /// Its name in the folder above.
    name: OsString,
    /// Entries still to be removed.
    pending: Vec<OsString>,
    /// Number of listings since an entry was last moved into the folder.
    n_listed: usize,
}

impl Emptied {
    fn new(folder: OwnedFd, name: OsString) -> io::Result<Self> {
        let pending = names(&folder)?;
        Ok(Self { folder, name, pending, n_listed: 1 })
    }

    /// Returns the next entry to remove. Lists the folder again until it is empty, up to a limit.
    fn next(&mut self) -> io::Result<Option<OsString>> {
        if self.pending.is_empty() && self.n_listed < MAX_ATTEMPTS {
            self.pending = names(&self.folder)?;
            self.n_listed += 1;
        }
        Ok(self.pending.pop())
    }
}

/// Removes everything in an open folder. Iterates instead of recursing, since the depth of folders has no limit.
fn empty(folder: OwnedFd) -> io::Result<()> {
    let mut open = vec![Emptied::new(folder, OsString::new())?];
    while let Some(here) = open.last_mut() {
        let Some(name) = here.next()? else {
            let Some(Emptied { name, .. }) = open.pop() else { break };
            if let Some(above) = open.last() {
                match unlinkat(&above.folder, &name, AtFlags::REMOVEDIR) {
                    // Entries added meanwhile are found when the parent is listed again.
                    Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            continue;
        };
        let path = Path::new(&name);
        match unlink(here.folder.as_fd(), path) {
            Err(error) if is_folder(&error) => {}
            other => {
                other?;
                continue;
            }
        }
        match open_folder(here.folder.as_fd(), path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound || is_not_folder(&error) => {}
            below if open.len() < MAX_OPEN => open.push(Emptied::new(below?, name)?),
            below => lift(&mut open, &below?, &name)?,
        }
    }
    Ok(())
}

/// Maximum number of open folders, because a process has few descriptors.
const MAX_OPEN: usize = 64;

/// Moves a folder deeper than [`MAX_OPEN`] up into the first of the open folders, which is then listed again.
fn lift(open: &mut [Emptied], below: &OwnedFd, name: &OsString) -> io::Result<()> {
    let inode = fstat(below)?.st_ino;
    let [top, .., above] = open else { return Ok(()) };
    rustix::fs::renameat(&above.folder, name, &top.folder, format!("lifted-{inode}"))?;
    top.n_listed = 0;
    Ok(())
}

fn unlink(folder: BorrowedFd<'_>, name: &Path) -> io::Result<()> {
    loop {
        match unlinkat(folder, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::INTR) => {}
            // Entries of a folder without write permission can be removed only once it has it.
            Err(Errno::ACCESS) if make_writable(folder)? => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn open_folder(folder: BorrowedFd<'_>, name: &Path) -> io::Result<OwnedFd> {
    match open_below(folder, name, FOLDER, Mode::empty()) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            grant_all(folder, name)?;
            open_below(folder, name, FOLDER, Mode::empty())
        }
        other => other,
    }
}

/// Gives the owner all rights on a folder that cannot be opened without them. Changing permissions by name would follow
/// a link, so this first takes a handle that needs no rights.
#[cfg(target_os = "linux")]
fn grant_all(folder: BorrowedFd<'_>, name: &Path) -> io::Result<()> {
    use std::os::fd::AsRawFd;

    use rustix::fs::OFlags;

    let handle = open_below(folder, name, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
    Ok(rustix::fs::chmod(format!("/proc/self/fd/{}", handle.as_raw_fd()), Mode::RWXU)?)
}

#[cfg(not(target_os = "linux"))]
fn grant_all(folder: BorrowedFd<'_>, name: &Path) -> io::Result<()> {
    Ok(rustix::fs::chmodat(folder, name, Mode::RWXU, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Gives the owner all rights. Returns true if the permissions changed.
fn make_writable(folder: BorrowedFd<'_>) -> io::Result<bool> {
    let mode = Status::from(fstat(folder)?).mode;
    if mode & 0o700 == 0o700 {
        return Ok(false);
    }
    fchmod(folder, Mode::from_raw_mode((mode | 0o700) as _))?;
    Ok(true)
}

/// The current entries of a folder.
fn names(folder: &OwnedFd) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(OsString::from_vec(name));
        }
    }
    Ok(names)
}

/// `unlink` of a folder returns `EISDIR` on Linux and `EPERM` elsewhere.
fn is_folder(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    code == Some(Errno::ISDIR.raw_os_error())
        || (cfg!(not(target_os = "linux")) && code == Some(Errno::PERM.raw_os_error()))
}

fn is_not_folder(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    code == Some(Errno::NOTDIR.raw_os_error()) || code == Some(Errno::LOOP.raw_os_error())
}
