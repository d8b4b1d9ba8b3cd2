//! Where fetched files are, below the user's store.
//!
//! | path | content |
//! |---|---|
//! | `fetched/<hash>/` | the files of one entry of a lock file, read-only, under their own names; whole or not there |
//! | `fetched/<hash>.stamps` | what the file system said about them when they were verified |
//! | `fetched/<hash>.lock` | which files they are, as in a lock file; the folder is named by the digest of the entry |
//! | `fetched/partial/<hash>/files/` | the files of one origin that are on their way |
//! | `fetched/partial/<hash>/state/` | for each of them, which version of it the server was sending |
//! | `fetched/partial/<hash>.lock` | held by the process that works on that origin |
//!
//! A folder appears by one rename, when every file in it has been verified.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use mc_digest::digest::Digest;
use mc_digest::hasher::Hasher;
use mc_ir::origin::Origin;

use crate::error::FetchError;
use crate::lock_file::{LockFile, LockedFile, entry_digest};
use crate::stamps::stamps;

/// The folders of fetched files.
#[derive(Clone, Debug)]
pub struct Area {
    root: PathBuf,
}

/// What is there of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Every file, verified.
    Whole(PathBuf),
    /// Nothing, or files that are still on their way.
    Missing,
    /// A folder in which these files are not what they should be.
    Damaged(Vec<String>),
}

/// The files of an origin that are on their way, held by this process.
#[derive(Debug)]
pub struct Work {
    folder: PathBuf,
    // Released when it is dropped.
    _lock: File,
}

/// A file on its way.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its bytes, as many as there are.
    pub path: PathBuf,
    /// Which version of the file they are of.
    pub state: PathBuf,
}

impl Area {
    /// The fetched files of the store at `store`, which must be one already.
    pub fn new(store: &Path) -> Self {
        Self { root: std::path::absolute(store).unwrap_or_else(|_| store.to_owned()).join("fetched") }
    }

    /// Where the folder of an entry is, or will be.
    pub fn folder(&self, origin: &Origin, files: &[LockedFile]) -> PathBuf {
        self.root.join(entry_digest(origin, files).to_string())
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn partial(&self) -> PathBuf {
        self.root.join("partial")
    }

    /// What is there of an entry. Files are read only when the file system says that they were touched.
    ///
    /// # Errors
    /// When something there cannot be read.
    pub fn presence(&self, origin: &Origin, files: &[LockedFile]) -> Result<Presence, FetchError> {
        let folder = self.folder(origin, files);
        if !folder.is_dir() {
            return Ok(Presence::Missing);
        }
        if !folder.with_extension("lock").exists() {
            describe(&folder, origin, files)?;
        }
        let record = folder.with_extension("stamps");
        let now = stamps(&folder, files).ok();
        if now.is_some() && now == fs::read_to_string(&record).ok() {
            return Ok(Presence::Whole(folder));
        }
        let mut damaged = Vec::new();
        for file in files {
            let path = folder.join(&file.name);
            match digest(&path) {
                Ok(found) if found == file.digest.hash => {}
                Ok(_) => damaged.push(file.name.clone()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => damaged.push(file.name.clone()),
                Err(error) => return Err(FetchError::io("read", &path, error)),
            }
        }
        if !damaged.is_empty() {
            return Ok(Presence::Damaged(damaged));
        }
        // Without a record the files are read again next time, which is slow and not wrong.
        drop(now.map(|now| fs::write(&record, now)));
        Ok(Presence::Whole(folder))
    }

    /// Begins to work on an origin, after everybody else who does; `wait` is called before a wait.
    ///
    /// # Errors
    /// When the folder cannot be made or locked.
    pub fn begin(&self, origin: &Origin, wait: impl FnOnce()) -> Result<Work, FetchError> {
        let partial = self.partial();
        fs::create_dir_all(&partial).map_err(|error| FetchError::io("create", &partial, error))?;
        let name = Digest::of(format!("{origin:?}").as_bytes()).to_string();
        let lock_path = partial.join(format!("{name}.lock"));
        let failed = |error| FetchError::io("lock", &lock_path, error);
        let lock = File::options().create(true).append(true).open(&lock_path).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                wait();
                lock.lock().map_err(failed)?;
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        Ok(Work { folder: partial.join(name), _lock: lock })
    }

    /// Takes a damaged folder back, so that what is right in it need not come again.
    ///
    /// # Errors
    /// When it cannot be moved.
    pub fn take_back(&self, work: &Work, origin: &Origin, files: &[LockedFile]) -> Result<(), FetchError> {
        let folder = self.folder(origin, files);
        drop(fs::remove_file(folder.with_extension("stamps")));
        remove(&work.files())?;
        fs::create_dir_all(&work.folder).map_err(|error| FetchError::io("create", &work.folder, error))?;
        fs::rename(&folder, work.files()).map_err(|error| FetchError::io("move", &folder, error))
    }

    /// Puts the verified files where the others look for them.
    ///
    /// # Errors
    /// When a file cannot be made read-only or synced, or the folder cannot be moved.
    pub fn finish(&self, work: Work, origin: &Origin, files: &[LockedFile]) -> Result<PathBuf, FetchError> {
        let (from, folder) = (work.files(), self.folder(origin, files));
        remove_others(&from, "", files)?;
        for file in files {
            let path = from.join(&file.name);
            seal(&path).map_err(|error| FetchError::io("sync", &path, error))?;
        }
        if folder.exists() {
            remove(&folder)?;
        }
        describe(&folder, origin, files)?;
        fs::rename(&from, &folder).map_err(|error| FetchError::io("move", &from, error))?;
        // After a crash without this the folder may be gone, and is fetched again.
        drop(File::open(&self.root).and_then(|root| root.sync_all()));
        if let Ok(text) = stamps(&folder, files) {
            drop(fs::write(folder.with_extension("stamps"), text));
        }
        remove(&work.folder)?;
        Ok(folder)
    }
}

impl Work {
    /// A file on its way.
    ///
    /// # Errors
    /// When its folders cannot be made.
    pub fn part(&self, name: &str) -> Result<Part, FetchError> {
        let path = self.files().join(name);
        let state = self.folder.join("state").join(Digest::of(name.as_bytes()).to_string());
        for folder in [path.parent(), state.parent()].into_iter().flatten() {
            fs::create_dir_all(folder).map_err(|error| FetchError::io("create", folder, error))?;
        }
        Ok(Part { path, state })
    }

    fn files(&self) -> PathBuf {
        self.folder.join("files")
    }
}

impl Part {
    /// Forgets all of it.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn forget(&self) -> Result<(), FetchError> {
        for path in [&self.state, &self.path] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(FetchError::io("remove", path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Writes which files a folder has, for those who know no lock file.
fn describe(folder: &Path, origin: &Origin, files: &[LockedFile]) -> Result<(), FetchError> {
    let path = folder.with_extension("lock");
    let lock = LockFile { entries: BTreeMap::from([(origin.clone(), files.to_vec())]) };
    fs::write(&path, lock.text()).map_err(|error| FetchError::io("write", &path, error))
}

/// The digest of a file's bytes.
pub(crate) fn digest(path: &Path) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 4 << 20];
    loop {
        let n_read = file.read(&mut buffer)?;
        if n_read == 0 {
            return Ok(hasher.finish().hash);
        }
        hasher.update_parallel(&buffer[..n_read]);
    }
}

fn seal(path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    let mut permissions = file.metadata()?.permissions();
    permissions.set_readonly(true);
    file.set_permissions(permissions)?;
    file.sync_all()
}

/// Removes what an earlier list had and this one has not.
fn remove_others(folder: &Path, prefix: &str, files: &[LockedFile]) -> Result<(), FetchError> {
    let failed = |error| FetchError::io("read", folder, error);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let below = format!("{name}/");
        if files.iter().any(|file| file.name.starts_with(&below)) {
            remove_others(&entry.path(), &below, files)?;
        } else if !files.iter().any(|file| file.name == name) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes a file or a folder, if it is there.
fn remove(path: &Path) -> Result<(), FetchError> {
    let is_folder = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.is_dir(),
        Err(_) => return Ok(()),
    };
    let removed = if is_folder { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    removed.map_err(|error| FetchError::io("remove", path, error))
}
