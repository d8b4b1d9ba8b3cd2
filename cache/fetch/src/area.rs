//! Layout of fetched files, below the user's store.
//!
//! | path | content |
//! |---|---|
//! | `fetched/<hash>/` | the files of one lock file entry, read-only, under their own names; complete or absent |
//! | `fetched/<hash>.stamps` | the file status recorded when they were verified |
//! | `fetched/<hash>.lock` | the list of these files, in lock file syntax; `<hash>` is the digest of the entry |
//! | `fetched/partial/<hash>/files/` | the partly downloaded files of one origin |
//! | `fetched/partial/<hash>/state/` | for each of them, the version that the server was sending |
//! | `fetched/partial/<hash>/private` | exists if one of them was requested with the user's credentials |
//! | `fetched/partial/<hash>.lock` | locked by the process that fetches this origin |
//!
//! One rename publishes a folder, after every file in it has been verified.
//!
//! Only the owner may read partly downloaded files. Files that were downloaded without credentials then become readable
//! to every user who may read `fetched`; files that were downloaded with credentials stay readable by their owner
//! alone. New credentials do not cause another download: the files were available without them.
//!
//! Nothing below the store follows a link, and only regular files are opened.

use std::collections::BTreeMap;
use std::fs::{File, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use mc_digest::digest::{BlobDigest, Digest};
use mc_digest::hasher::Hasher;
use mc_files::folder::Folder;
use mc_files::status::{Kind, Status};
use mc_ir::origin::Origin;

use crate::error::FetchError;
use crate::lock_file::{LockFile, LockedFile, MAX_LOCK, entry_digest};
use crate::stamps::stamps;

/// The folder of all fetched files, below the store.
pub(crate) const FETCHED: &str = "fetched";

/// The folder of partial downloads.
pub(crate) const PARTIAL: &str = "fetched/partial";

/// Permissions of private folders and files.
const PRIVATE_FOLDER: u32 = 0o700;
const PRIVATE_FILE: u32 = 0o600;

/// Permissions of metadata about public files, before the process's umask.
const PUBLIC_FILE: u32 = 0o666;

/// Limit on the size of a state file, which holds two lines.
const MAX_STATE: u64 = 4096;

/// The folders of fetched files.
#[derive(Clone, Debug)]
pub struct Area {
    store: PathBuf,
}

/// State of an entry on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// All files are present and verified.
    Whole(PathBuf),
    /// The entry is absent or still incomplete.
    Missing,
    /// The folder exists, but these files do not match their pins.
    Damaged(Vec<String>),
}

/// The partly downloaded files of an origin, locked by this process.
#[derive(Debug)]
pub struct Work {
    /// `fetched/partial/<hash>`, open.
    folder: Arc<Folder>,
    /// Its path below the store.
    path: PathBuf,
    // Released on drop.
    _lock: File,
}

/// A partly downloaded file.
#[derive(Clone, Debug)]
pub struct Part {
    work: Arc<Folder>,
    bytes: PathBuf,
    state: PathBuf,
}

impl Area {
    /// Opens the fetched files of the store at `store`, which must exist.
    pub fn new(store: &Path) -> Self {
        Self { store: std::path::absolute(store).unwrap_or_else(|_| store.to_owned()) }
    }

    /// Path of an entry's folder, which may not exist yet.
    pub fn folder(&self, origin: &Origin, files: &[LockedFile]) -> PathBuf {
        self.store.join(place(origin, files))
    }

    /// Returns true if the folder of an entry exists, in any state.
    pub(crate) fn holds(&self, origin: &Origin, files: &[LockedFile]) -> bool {
        self.store().is_ok_and(|store| store.folder(&place(origin, files)).is_ok())
    }

    /// Opens the store. No link below it is followed.
    pub(crate) fn store(&self) -> Result<Folder, FetchError> {
        Folder::open(&self.store).map_err(|error| FetchError::io("open", &self.store, error))
    }

    /// Opens the store if it exists.
    pub(crate) fn store_if_there(&self) -> Result<Option<Folder>, FetchError> {
        match Folder::open(&self.store) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some).map_err(|error| FetchError::io("open", &self.store, error)),
        }
    }

    /// Returns the state of an entry. Reads files only if their status changed since they were verified.
    ///
    /// # Errors
    /// Fails if an existing file or folder cannot be read.
    pub fn presence(&self, origin: &Origin, files: &[LockedFile]) -> Result<Presence, FetchError> {
        let Some(store) = self.store_if_there()? else { return Ok(Presence::Missing) };
        let place = place(origin, files);
        let folder = match store.folder(&place) {
            Ok(folder) => folder,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Presence::Missing),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let what = format!(
                    "`{}` is readable only by the user who fetched it with credentials; use your own store \
                     with `--cache-dir`",
                    store.at(&place).display()
                );
                return Err(FetchError::Listing { origin: origin.to_string(), what });
            }
            Err(error) => return Err(FetchError::io("open", &store.at(&place), error)),
        };
        if store.status_of(&place.with_extension("lock")).is_err() {
            describe(&store, &folder, &place, origin, files)?;
        }
        let record = place.with_extension("stamps");
        let now = stamps(&folder, files).ok();
        let before = store.read(&record, MAX_LOCK).ok();
        note_use(&store, &place);
        if now.is_some() && now.as_ref().map(String::as_bytes) == before.as_deref() {
            return Ok(Presence::Whole(store.at(&place)));
        }
        let mut damaged = Vec::new();
        for file in files {
            let name = Path::new(&file.name);
            match folder.open_file(name).and_then(|opened| digest(&opened, file.digest.n_bytes)) {
                Ok(found) if found == file.digest => {}
                Ok(_) => damaged.push(file.name.clone()),
                Err(error) if is_replaced(&error) => damaged.push(file.name.clone()),
                Err(error) => return Err(FetchError::io("read", &folder.at(name), error)),
            }
        }
        if !damaged.is_empty() {
            return Ok(Presence::Damaged(damaged));
        }
        // Without these stamps the next call reads the files again: slower, but correct.
        drop(now.map(|now| note(&store, &record, &folder, now.as_bytes())));
        Ok(Presence::Whole(store.at(&place)))
    }

    /// Locks the partial download of an origin, waiting for other processes; calls `wait` before it blocks.
    ///
    /// # Errors
    /// Fails if the folder cannot be made or locked.
    pub fn begin(&self, origin: &Origin, wait: impl FnOnce()) -> Result<Work, FetchError> {
        let store = self.store()?;
        let partial = Path::new(PARTIAL);
        store.create_folder(partial).map_err(|error| FetchError::io("create", &store.at(partial), error))?;
        let path = partial.join(Digest::of(format!("{origin:?}").as_bytes()).to_string());
        let lock_path = path.with_extension("lock");
        let failed = |error| FetchError::io("lock", &store.at(&lock_path), error);
        let lock = store.append(&lock_path, PRIVATE_FILE).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                wait();
                lock.lock().map_err(failed)?;
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let folder = private_folder(&store, &path)?;
        Ok(Work { folder: Arc::new(folder), path, _lock: lock })
    }

    /// Moves a damaged folder back to the partial downloads, so that its intact files are not downloaded again.
    ///
    /// # Errors
    /// Fails if the folder cannot be moved.
    pub fn take_back(&self, work: &Work, origin: &Origin, files: &[LockedFile]) -> Result<(), FetchError> {
        let (store, place) = (self.store()?, place(origin, files));
        if is_private(&store, &place) {
            work.keep_private()?;
        }
        drop(store.remove_file(&place.with_extension("stamps")));
        let failed = |error| FetchError::io("move", &store.at(&place), error);
        work.folder.remove_all(Path::new(FILES)).map_err(failed)?;
        store.rename(&place, &work.folder, Path::new(FILES)).map_err(failed)
    }

    /// Publishes the verified files in their final folder.
    ///
    /// # Errors
    /// Fails if a file cannot be made read-only or synced, or the folder cannot be moved.
    pub fn finish(&self, work: Work, origin: &Origin, files: &[LockedFile]) -> Result<PathBuf, FetchError> {
        let (store, place) = (self.store()?, place(origin, files));
        let open = |folder: &Folder, path: &str| {
            folder
                .folder(Path::new(path))
                .map_err(|error| FetchError::io("open", &folder.at(Path::new(path)), error))
        };
        let from = open(&work.folder, FILES)?;
        remove_others(&from, files)?;
        let mode = if work.is_private() { PRIVATE_FOLDER } else { status(&open(&store, FETCHED)?)?.mode };
        for file in files {
            let name = Path::new(&file.name);
            seal(&from, name, mode).map_err(|error| FetchError::io("sync", &from.at(name), error))?;
        }
        store.remove_all(&place).map_err(|error| FetchError::io("remove", &store.at(&place), error))?;
        describe(&store, &from, &place, origin, files)?;
        let moved = work.folder.rename(Path::new(FILES), &store, &place);
        moved.map_err(|error| FetchError::io("move", from.path(), error))?;
        // If this is skipped, a crash may lose the folder, which is then fetched again.
        drop(open(&store, FETCHED)?.file().and_then(|root| root.sync_all()));
        if let Ok(text) = stamps(&from, files) {
            drop(note(&store, &place.with_extension("stamps"), &from, text.as_bytes()));
        }
        store
            .remove_all(&work.path)
            .map_err(|error| FetchError::io("remove", &store.at(&work.path), error))?;
        Ok(store.at(&place))
    }
}

/// The partly downloaded files, below the folder of their origin.
const FILES: &str = "files";

/// Exists if only the owner may read the files.
const PRIVATE: &str = "private";

impl Work {
    /// Returns a partly downloaded file, creating its folders.
    ///
    /// # Errors
    /// Fails if its folders cannot be created.
    pub fn part(&self, name: &str) -> Result<Part, FetchError> {
        let bytes = Path::new(FILES).join(name);
        let state = Path::new("state").join(Digest::of(name.as_bytes()).to_string());
        for folder in [bytes.parent(), state.parent()].into_iter().flatten() {
            let made = self.folder.create_folder_with(folder, PRIVATE_FOLDER);
            made.map_err(|error| FetchError::io("create", &self.folder.at(folder), error))?;
        }
        Ok(Part { work: Arc::clone(&self.folder), bytes, state })
    }

    fn keep_private(&self) -> Result<(), FetchError> {
        keep_private(&self.folder)
    }

    fn is_private(&self) -> bool {
        // If the status is unknown, the files are treated as private.
        !matches!(self.folder.status_of(Path::new(PRIVATE)), Err(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

fn keep_private(work: &Folder) -> Result<(), FetchError> {
    let path = Path::new(PRIVATE);
    let kept = work.open_or_create(path, PRIVATE_FILE);
    kept.map(drop).map_err(|error| FetchError::io("create", &work.at(path), error))
}

impl Part {
    /// Path of the data, for messages.
    pub fn path(&self) -> PathBuf {
        self.work.at(&self.bytes)
    }

    /// Status of the data; `None` if the file does not exist.
    pub(crate) fn status(&self) -> Option<Status> {
        self.work.status_of(&self.bytes).ok()
    }

    /// Opens the data received so far.
    pub(crate) fn read(&self) -> io::Result<File> {
        self.work.open_file(&self.bytes)
    }

    /// Opens the data for appending.
    pub(crate) fn append(&self) -> io::Result<File> {
        match self.work.append(&self.bytes, PRIVATE_FILE) {
            // The file was moved back from a published folder, where it was read-only.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.read()?.set_permissions(Permissions::from_mode(PRIVATE_FILE))?;
                self.work.append(&self.bytes, PRIVATE_FILE)
            }
            other => other,
        }
    }

    /// The version that the server was sending, as text; empty if unknown.
    pub(crate) fn state(&self) -> String {
        let text = self.work.read(&self.state, MAX_STATE).unwrap_or_default();
        String::from_utf8(text).unwrap_or_default()
    }

    pub(crate) fn set_state(&self, text: &str) -> Result<(), FetchError> {
        let file = self.work.open_or_create(&self.state, PRIVATE_FILE);
        let written = file.and_then(|mut file| {
            file.set_len(0)?;
            file.write_all(text.as_bytes())
        });
        written.map_err(|error| FetchError::io("write", &self.work.at(&self.state), error))
    }

    /// Marks all files of this origin as readable by their owner alone.
    pub(crate) fn keep_private(&self) -> Result<(), FetchError> {
        keep_private(&self.work)
    }

    /// Removes the data and the state.
    ///
    /// # Errors
    /// Fails if a file cannot be removed.
    pub fn forget(&self) -> Result<(), FetchError> {
        for path in [&self.state, &self.bytes] {
            let removed = self.work.remove_all(path);
            removed.map_err(|error| FetchError::io("remove", &self.work.at(path), error))?;
        }
        Ok(())
    }
}

/// Path of an entry's folder, below the store.
fn place(origin: &Origin, files: &[LockedFile]) -> PathBuf {
    Path::new(FETCHED).join(entry_digest(origin, files).to_string())
}

/// Creates a private folder, or makes an existing one private.
fn private_folder(store: &Folder, path: &Path) -> Result<Folder, FetchError> {
    let failed = |error| FetchError::io("create", &store.at(path), error);
    let folder = store.create_folder_with(path, PRIVATE_FOLDER).map_err(failed)?;
    folder
        .file()
        .and_then(|file| file.set_permissions(Permissions::from_mode(PRIVATE_FOLDER)))
        .map_err(failed)?;
    Ok(folder)
}

fn status(folder: &Folder) -> Result<Status, FetchError> {
    folder.status().map_err(|error| FetchError::io("examine", folder.path(), error))
}

/// Returns true if only its owner may use a folder.
fn is_private(store: &Folder, path: &Path) -> bool {
    store.status_of(path).is_ok_and(|status| status.mode & 0o077 == 0)
}

/// Returns true if a file is missing or replaced by something that is not a file.
pub(crate) fn is_replaced(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || mc_files::path_error::PathError::of(error).is_some()
}

/// Writes metadata next to a folder, readable to those who may read the folder.
fn note(store: &Folder, path: &Path, folder: &Folder, bytes: &[u8]) -> io::Result<()> {
    let mode = if folder.status()?.mode & 0o077 == 0 { PRIVATE_FILE } else { PUBLIC_FILE };
    store.remove_all(path)?;
    match store.create_file(path, mode) {
        // Another process writes the same content.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        file => file?.write_all(bytes),
    }
}

/// Records the use of a folder as the modification time of the list next to it.
fn note_use(store: &Folder, place: &Path) {
    let list = store.open_file(&place.with_extension("lock"));
    // If the user may not set the time, that of an earlier use remains.
    drop(list.and_then(|list| list.set_modified(SystemTime::now())));
}

/// Writes the list of files in a folder, so that it can be verified without the workspace's lock file.
fn describe(
    store: &Folder,
    folder: &Folder,
    place: &Path,
    origin: &Origin,
    files: &[LockedFile],
) -> Result<(), FetchError> {
    let path = place.with_extension("lock");
    let lock = LockFile { entries: BTreeMap::from([(origin.clone(), files.to_vec())]) };
    let written = note(store, &path, folder, lock.text().as_bytes());
    written.map_err(|error| FetchError::io("write", &store.at(&path), error))
}

/// Digest of a file. If its length differs from `expected`, the file is not read and the hash is zero.
pub(crate) fn digest(mut file: &File, expected: u64) -> io::Result<BlobDigest> {
    let n_bytes = file.metadata()?.len();
    if n_bytes != expected {
        return Ok(BlobDigest::new(Digest::from_bytes([0; 32]), n_bytes));
    }
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 4 << 20];
    loop {
        let n_read = file.read(&mut buffer)?;
        if n_read == 0 {
            return Ok(hasher.finish());
        }
        hasher.update_parallel(&buffer[..n_read]);
    }
}

/// Makes a file read-only and durable. It and the folders around it become readable to those who may read a folder with
/// permissions `mode`.
fn seal(folder: &Folder, name: &Path, mode: u32) -> io::Result<()> {
    let file = folder.open_file(name)?;
    file.set_permissions(Permissions::from_mode(mode & 0o444))?;
    let parents = name.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty());
    for parent in parents {
        folder.folder(parent)?.file()?.set_permissions(Permissions::from_mode(mode))?;
    }
    folder.file()?.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()
}

/// Removes files that an earlier list contained and this list does not.
fn remove_others(folder: &Folder, files: &[LockedFile]) -> Result<(), FetchError> {
    let mut open = vec![PathBuf::new()];
    while let Some(below) = open.pop() {
        let failed = |error| FetchError::io("read", &folder.at(&below), error);
        let entries = match below.as_os_str().is_empty() {
            true => folder.entries(),
            false => folder.folder(&below).and_then(|folder| folder.entries()),
        };
        for entry in entries.map_err(failed)? {
            let path = below.join(&entry.name);
            let is_wanted = |file: &LockedFile| Path::new(&file.name) == path && entry.kind == Kind::File;
            let is_above =
                |file: &LockedFile| Path::new(&file.name).starts_with(&path) && entry.kind == Kind::Folder;
            if files.iter().any(is_wanted) {
                continue;
            }
            if files.iter().any(is_above) {
                open.push(path);
            } else {
                folder
                    .remove_all(&path)
                    .map_err(|error| FetchError::io("remove", &folder.at(&path), error))?;
            }
        }
    }
    Ok(())
}
