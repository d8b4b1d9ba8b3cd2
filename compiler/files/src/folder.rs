//! A directory handle, and operations below it that follow no symbolic link.
//!
//! Paths are relative and consist of plain names. If a part of a path is a symbolic link, the operation fails with an
//! error that names the link ([`PathError::Link`]). Only the path of the handle itself ([`Folder::open`]) may contain
//! links, because the user named it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, Dir, Mode, OFlags, mkdirat, readlinkat, renameat, statat, unlinkat};
use rustix::io::Errno;

use crate::file_observer::{FileObserver, Operation};
use crate::path_error::PathError;
use crate::regular::{checked, read_all};
use crate::removal;
use crate::rename::{exchange, rename_new};
use crate::resolve::{FOLDER, check, open_below};
use crate::status::{Kind, Status};
use crate::sync::sync_all;

/// Permissions of new folders, before the process's umask.
const FOLDER_MODE: u32 = 0o777;

/// An open directory.
#[derive(Debug)]
pub struct Folder {
    handle: OwnedFd,
    path: PathBuf,
    observer: Option<Arc<dyn FileObserver>>,
}

/// An entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its name.
    pub name: OsString,
    /// Its kind; a link is not followed.
    pub kind: Kind,
}

impl Folder {
    /// Opens a folder that the user named. Follows links.
    ///
    /// # Errors
    /// If it does not exist, is not a folder, or cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let handle = rustix::fs::open(path, FOLDER, Mode::empty())?;
        Ok(Self { handle, path: path.to_owned(), observer: None })
    }

    /// Opens a folder that the user named; creates it and its parents if they do not exist. Follows links.
    ///
    /// # Errors
    /// If it cannot be created or opened.
    pub fn create(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        Self::open(path)
    }

    /// Returns the same folder with an observer for operations through it and through folders opened below it.
    pub fn watched_by(self, observer: Option<Arc<dyn FileObserver>>) -> Self {
        Self { observer, ..self }
    }

    /// The observer, if there is one.
    pub fn observer(&self) -> Option<Arc<dyn FileObserver>> {
        self.observer.clone()
    }

    /// The path that the folder was opened with, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of an entry below the folder, for messages.
    pub fn at(&self, path: &Path) -> PathBuf {
        self.path.join(path)
    }

    /// The folder itself as an open file, for locking.
    ///
    /// # Errors
    /// If the process has no descriptors left.
    pub fn file(&self) -> io::Result<File> {
        Ok(self.handle.try_clone()?.into())
    }

    /// Status of the folder itself.
    ///
    /// # Errors
    /// Errors of the system call.
    pub fn status(&self) -> io::Result<Status> {
        Ok(rustix::fs::fstat(&self.handle)?.into())
    }

    /// Free bytes on the file system, for users without special rights.
    ///
    /// # Errors
    /// Errors of the system call.
    pub fn room(&self) -> io::Result<u64> {
        let status = rustix::fs::fstatvfs(&self.handle)?;
        Ok(status.f_bavail.saturating_mul(status.f_frsize))
    }

    /// Opens a folder below this one.
    ///
    /// # Errors
    /// `NotFound`; [`PathError::Link`]; and errors of the system call.
    pub fn folder(&self, path: &Path) -> io::Result<Self> {
        let opened = open_below(self.fd(), path, FOLDER, Mode::empty());
        let handle = opened.map_err(|error| self.explained(path, "a folder", error))?;
        Ok(Self { handle, path: self.at(path), observer: self.observer() })
    }

    /// Opens a folder below this one; creates it and its parents if they do not exist.
    ///
    /// # Errors
    /// As [`Self::folder`], or if it cannot be created. Folders created before the error stay.
    pub fn create_folder(&self, path: &Path) -> io::Result<Self> {
        self.create_folder_with(path, FOLDER_MODE)
    }

    /// Like [`Self::create_folder`], with the given permissions for new folders.
    ///
    /// # Errors
    /// As [`Self::create_folder`].
    pub fn create_folder_with(&self, path: &Path, mode: u32) -> io::Result<Self> {
        // Most of the time it exists.
        match self.folder(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        let mut part = PathBuf::new();
        for name in path {
            part.push(name);
            match self.create_new_folder_with(&part, mode) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        self.folder(path)
    }

    /// Creates a new folder in an existing one.
    ///
    /// # Errors
    /// `AlreadyExists`, also if a link has the name; and as [`Self::folder`] for the parents.
    pub fn create_new_folder(&self, path: &Path) -> io::Result<()> {
        self.create_new_folder_with(path, FOLDER_MODE)
    }

    fn create_new_folder_with(&self, path: &Path, mode: u32) -> io::Result<()> {
        self.in_parent(path, |folder, name| Ok(mkdirat(folder, name, Mode::from_raw_mode(mode as _))?))?;
        self.show(|| Operation::FolderMade { path: self.at(path) });
        Ok(())
    }

    /// Opens a regular file below this folder for reading. Never blocks.
    ///
    /// # Errors
    /// `NotFound`; [`PathError`]; and errors of the system call.
    pub fn open_file(&self, path: &Path) -> io::Result<File> {
        self.open_with(path, OFlags::RDONLY, 0)
    }

    /// Reads a whole regular file below this folder.
    ///
    /// * `limit`: maximum size in bytes
    ///
    /// # Errors
    /// As [`Self::open_file`]; [`PathError::TooLarge`] above the limit.
    pub fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        read_all(&self.open_file(path)?, &self.at(path), limit)
    }

    /// Creates a new file for writing and reading, in an existing folder.
    ///
    /// * `mode`: permissions, before the process's umask
    ///
    /// # Errors
    /// `AlreadyExists`, also if a link has the name; and as [`Self::folder`] for the parents.
    pub fn create_file(&self, path: &Path, mode: u32) -> io::Result<File> {
        self.open_to_write(path, OFlags::CREATE | OFlags::EXCL, mode)
    }

    /// Opens a regular file below this folder for reading and appending; creates it if it does not exist.
    ///
    /// * `mode`: permissions of a new file, before the process's umask
    ///
    /// # Errors
    /// As [`Self::open_file`], or if it cannot be created.
    pub fn append(&self, path: &Path, mode: u32) -> io::Result<File> {
        self.open_to_write(path, OFlags::APPEND | OFlags::CREATE, mode)
    }

    /// Opens a regular file below this folder for reading and writing, without truncating it; creates it if it does not
    /// exist.
    ///
    /// * `mode`: permissions of a new file, before the process's umask
    ///
    /// # Errors
    /// As [`Self::open_file`], or if it cannot be created.
    pub fn open_or_create(&self, path: &Path, mode: u32) -> io::Result<File> {
        self.open_to_write(path, OFlags::CREATE, mode)
    }

    /// Creates a new file that shares the storage of another, if the file system supports it.
    ///
    /// * `source`: a regular file, open for reading
    /// * `mode`: permissions of the new file, before the process's umask
    ///
    /// # Errors
    /// As [`Self::create_file`]. If the file system does not support it, an empty file is left.
    pub fn clone_file(&self, source: &File, path: &Path, mode: u32) -> io::Result<File> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            let clone = self.create_file(path, mode)?;
            rustix::fs::ioctl_ficlone(&clone, source)?;
            Ok(clone)
        }
        #[cfg(target_os = "macos")]
        {
            let flags = rustix::fs::CloneFlags::NOFOLLOW;
            self.in_parent(path, |folder, name| Ok(rustix::fs::fclonefileat(source, folder, name, flags)?))?;
            let clone = self.open_file(path)?;
            rustix::fs::fchmod(&clone, Mode::from_raw_mode(mode as _))?;
            self.show(|| Operation::Opened { path: self.at(path), file: &clone });
            Ok(clone)
        }
        #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "macos")))]
        {
            let _ = (source, path, mode);
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    fn open_to_write(&self, path: &Path, flags: OFlags, mode: u32) -> io::Result<File> {
        let file = self.open_with(path, OFlags::RDWR | flags, mode)?;
        self.show(|| Operation::Opened { path: self.at(path), file: &file });
        Ok(file)
    }

    /// Makes files on the file system of this folder durable, many at a time; also the entries of a folder, if it is
    /// given as a file ([`Self::file`]). The results are in the order of the files.
    pub fn sync(&self, files: &[&File]) -> Vec<io::Result<()>> {
        let results = sync_all(files);
        for (file, _) in files.iter().zip(&results).filter(|(_, result)| result.is_ok()) {
            self.show(|| Operation::Synced { file });
        }
        results
    }

    fn open_with(&self, path: &Path, flags: OFlags, mode: u32) -> io::Result<File> {
        let opened = open_below(
            self.fd(),
            path,
            flags | OFlags::NONBLOCK | OFlags::NOCTTY,
            Mode::from_raw_mode(mode as _),
        );
        let file = match opened {
            Ok(handle) => File::from(handle),
            Err(error) => return Err(self.explained(path, "a file", error)),
        };
        checked(file, &self.at(path))
    }

    /// Status of an entry below this folder; of a link itself, not of its target.
    ///
    /// # Errors
    /// `NotFound`; and as [`Self::folder`] for the parents.
    pub fn status_of(&self, path: &Path) -> io::Result<Status> {
        self.in_parent(path, |folder, name| Ok(statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?.into()))
    }

    /// Renames an entry, replacing a file that has the new name.
    ///
    /// * `to`: a path below `folder`; its parent exists
    ///
    /// # Errors
    /// As [`Self::folder`] for the parents of both paths; and errors of the system call.
    pub fn rename(&self, from: &Path, folder: &Self, to: &Path) -> io::Result<()> {
        self.between(from, folder, to, |old, from, new, to| Ok(renameat(old, from, new, to)?))?;
        self.show(|| Operation::Renamed { from: self.at(from), to: folder.at(to) });
        Ok(())
    }

    /// Renames a file to a name that is not in use.
    ///
    /// # Errors
    /// `AlreadyExists`, also if a link has the new name; and as [`Self::rename`].
    pub fn rename_new(&self, from: &Path, folder: &Self, to: &Path) -> io::Result<()> {
        self.between(from, folder, to, rename_new)?;
        self.show(|| Operation::Renamed { from: self.at(from), to: folder.at(to) });
        Ok(())
    }

    /// Swaps two entries atomically.
    ///
    /// # Errors
    /// If the system or the file system does not support it; and as [`Self::rename`].
    pub fn exchange(&self, one: &Path, folder: &Self, other: &Path) -> io::Result<()> {
        self.between(one, folder, other, exchange)?;
        self.show(|| Operation::Exchanged { one: self.at(one), other: folder.at(other) });
        Ok(())
    }

    /// Removes a file or a link. Succeeds if the entry does not exist.
    ///
    /// # Errors
    /// If it is a folder; and as [`Self::folder`] for the parents.
    pub fn remove_file(&self, path: &Path) -> io::Result<()> {
        let removed = self.in_parent(path, |folder, name| Ok(unlinkat(folder, name, AtFlags::empty())?));
        self.shown_removed(path, gone_is_done(removed))
    }

    /// Removes an empty folder.
    ///
    /// # Errors
    /// If it is not empty or not a folder; and as [`Self::folder`] for the parents.
    pub fn remove_folder(&self, path: &Path) -> io::Result<()> {
        let removed = self.in_parent(path, |folder, name| Ok(unlinkat(folder, name, AtFlags::REMOVEDIR)?));
        self.shown_removed(path, removed)
    }

    /// Removes a file, a link, or a folder with its contents. Succeeds if the entry does not exist.
    ///
    /// # Errors
    /// Errors of the system call; part of the contents may have been removed.
    pub fn remove_all(&self, path: &Path) -> io::Result<()> {
        self.shown_removed(path, gone_is_done(self.in_parent(path, removal::remove_all)))
    }

    /// The entries of this folder, sorted by name.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in Dir::read_from(&self.handle)? {
            let entry = entry?;
            let name = OsString::from_vec(entry.file_name().to_bytes().to_vec());
            if name == "." || name == ".." {
                continue;
            }
            let kind = match entry.file_type() {
                // Some file systems do not report the kind.
                rustix::fs::FileType::Unknown => match self.status_of(Path::new(&name)) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    status => status?.kind,
                },
                kind => kind.into(),
            };
            entries.push(Entry { name, kind });
        }
        entries.sort();
        Ok(entries)
    }

    fn shown_removed(&self, path: &Path, removed: io::Result<()>) -> io::Result<()> {
        removed?;
        self.show(|| Operation::Removed { path: self.at(path) });
        Ok(())
    }

    /// Reports an operation that succeeded to the observer, if there is one.
    fn show<'a>(&self, operation: impl FnOnce() -> Operation<'a>) {
        if let Some(observer) = &self.observer {
            observer.saw(&operation());
        }
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }

    /// Calls a function with the parent folder of an entry and the entry's name.
    fn in_parent<T>(
        &self,
        path: &Path,
        act: impl FnOnce(BorrowedFd<'_>, &Path) -> io::Result<T>,
    ) -> io::Result<T> {
        check(path)?;
        let name = path.file_name().map(Path::new).unwrap_or(path);
        match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(parent) => act(self.folder(parent)?.fd(), name),
            None => act(self.fd(), name),
        }
    }

    fn between(
        &self,
        from: &Path,
        folder: &Self,
        to: &Path,
        act: impl FnOnce(BorrowedFd<'_>, &Path, BorrowedFd<'_>, &Path) -> io::Result<()>,
    ) -> io::Result<()> {
        self.in_parent(from, |old, from| folder.in_parent(to, |new, to| act(old, from, new, to)))
    }

    /// Explains an error of opening `path`: if a link caused it, returns an error that names the link.
    fn explained(&self, path: &Path, expected: &'static str, error: io::Error) -> io::Error {
        let code = error.raw_os_error().map(Errno::from_raw_os_error);
        if code == Some(Errno::NXIO) {
            return PathError::NotRegular { path: self.at(path), found: Kind::Socket }.into();
        }
        if code == Some(Errno::ISDIR) {
            return PathError::NotRegular { path: self.at(path), found: Kind::Folder }.into();
        }
        if !matches!(code, Some(Errno::LOOP | Errno::NOTDIR | Errno::MLINK | Errno::XDEV)) {
            return error;
        }
        self.link_on(path, expected).map_or(error, io::Error::from)
    }

    /// The first link on a path.
    fn link_on(&self, path: &Path, expected: &'static str) -> Option<PathError> {
        let mut here = self.handle.try_clone().ok()?;
        let mut walked = PathBuf::new();
        let n_parts = path.iter().count();
        for (part_idx, name) in path.iter().enumerate() {
            walked.push(name);
            if let Ok(target) = readlinkat(&here, name, Vec::new()) {
                let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
                let expected = if part_idx + 1 < n_parts { "a folder" } else { expected };
                return Some(PathError::Link { path: self.at(&walked), target, expected });
            }
            here = open_below(here.as_fd(), Path::new(name), FOLDER, Mode::empty()).ok()?;
        }
        None
    }
}

fn gone_is_done(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests;
