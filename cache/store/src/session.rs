//! Unfinished files of a process, and the cleanup after dead processes.
//!
//! Each session is a folder of its own under a shared root, locked while its process lives. The operating system
//! releases the lock when the process ends, even after a crash, so a folder that can be locked is abandoned, and the
//! next process that starts a session removes it. The root is locked while sessions are created and removed, so no
//! process sees a folder between its creation and its lock.
//!
//! Files are created, renamed and removed through handles on the session's folder, so that no link can redirect them.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use mc_files::folder::Folder;
use mc_files::status::Kind;

use crate::error::StoreError;
use crate::folder_lock::lock_folder;

const PREFIX: &str = "session-";

/// File name of the notes in which a session records the blobs that it uses.
const USES: &str = "uses";

/// Maximum bytes read of such a file: 32 million uses.
const MAX_USES: u64 = 1 << 30;

/// Permissions of an unfinished file.
const UNFINISHED: u32 = 0o600;

/// Permissions of notes that other users of the store read.
const UNFINISHED_SHARED: u32 = 0o644;

/// A folder for unfinished files, removed with everything in it when dropped.
#[derive(Debug)]
pub struct Session {
    base: Arc<Folder>,
    /// The root of all sessions, below the base.
    root: PathBuf,
    /// The session's folder, below the base.
    path: PathBuf,
    folder: Folder,
    n_made: AtomicU64,
    // Holds the lock.
    _lock: File,
}

impl Session {
    /// Starts a session under `root`, a path below `base` that is created if necessary, and removes abandoned sessions
    /// there.
    ///
    /// # Errors
    /// Fails if the folder cannot be created or locked, or is reached through a link.
    pub fn start(base: &Arc<Folder>, root: &Path) -> Result<Self, StoreError> {
        let locked = lock_folder(base, root)?;
        let failed = |source| StoreError::io("create a folder in", &base.at(root), source);
        remove_dead_sessions(&locked.folder);
        let (name, folder) = new_folder(&locked.folder).map_err(failed)?;
        let lock = folder.file().and_then(|file| file.lock().map(|()| file));
        let lock = lock.map_err(|source| StoreError::io("lock", folder.path(), source))?;
        let (path, root) = (root.join(name), root.to_owned());
        Ok(Self { base: Arc::clone(base), root, path, folder, n_made: AtomicU64::new(0), _lock: lock })
    }

    /// The session's folder.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The name of the session's folder in the root of all sessions.
    pub(crate) fn name(&self) -> Option<&OsStr> {
        self.path.file_name()
    }

    /// Makes a new empty file in the session's folder.
    ///
    /// # Errors
    /// Fails if it cannot be created.
    pub fn file(&self) -> Result<UnfinishedFile<'_>, StoreError> {
        self.file_with(UNFINISHED)
    }

    /// Same as [`Self::file`], with these permissions, before the process's umask.
    ///
    /// # Errors
    /// Fails if it cannot be created.
    pub(crate) fn file_with(&self, mode: u32) -> Result<UnfinishedFile<'_>, StoreError> {
        let name = self.next_name();
        let file = self.folder.create_file(&name, mode);
        let file = file.map_err(|source| StoreError::io("create", &self.folder.at(&name), source))?;
        Ok(UnfinishedFile { file, name: Unfinished { session: self, name, is_gone: false } })
    }

    /// Creates an empty folder in the session's folder.
    ///
    /// # Errors
    /// Fails if it cannot be created.
    pub(crate) fn new_folder(&self) -> Result<UnfinishedFolder<'_>, StoreError> {
        let name = self.next_name();
        let failed = |source| StoreError::io("create", &self.folder.at(&name), source);
        self.folder.create_new_folder(&name).map_err(failed)?;
        let folder = self.folder.folder(&name).map_err(failed)?;
        Ok(UnfinishedFolder { folder, _name: Unfinished { session: self, name, is_gone: false } })
    }

    /// Creates the file in which the session records the blobs that it uses, for [`uses_of_living`].
    ///
    /// # Errors
    /// If it cannot be created.
    pub(crate) fn uses(&self) -> io::Result<File> {
        self.folder.append(Path::new(USES), UNFINISHED_SHARED)
    }

    fn next_name(&self) -> PathBuf {
        PathBuf::from(self.n_made.fetch_add(1, Ordering::Relaxed).to_string())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Errors are ignored on drop: the next session removes the rest.
        let root_lock = lock_folder(&self.base, &self.root);
        drop(self.base.remove_all(&self.path));
        // Succeeds only for the last session of a root.
        drop(self.base.remove_folder(&self.root));
        drop(root_lock);
    }
}

/// Creates a folder with a unique name. `tempfile` generates names until one is free; the session removes the folder.
fn new_folder(root: &Folder) -> io::Result<(PathBuf, Folder)> {
    let named = tempfile::Builder::new().prefix(PREFIX).make_in(root.path(), |path| {
        let name = PathBuf::from(path.file_name().unwrap_or_default());
        root.create_new_folder(&name)?;
        Ok((name.clone(), root.folder(&name)?))
    })?;
    let (made, path) = named.into_parts();
    path.keep().map_err(|error| error.error)?;
    Ok(made)
}

/// A session that starts on first use, so that a store that is only read is not written to.
#[derive(Debug)]
pub struct LazySession {
    base: Arc<Folder>,
    root: PathBuf,
    started: OnceLock<Session>,
    starting: Mutex<()>,
}

impl LazySession {
    /// A session to be started under `root`, a path below `base`.
    pub fn new(base: Arc<Folder>, root: &Path) -> Self {
        Self { base, root: root.to_owned(), started: OnceLock::new(), starting: Mutex::default() }
    }

    /// Returns the session, starting it if necessary.
    ///
    /// # Errors
    /// Same as [`Session::start`]. The next call tries again.
    pub fn get(&self) -> Result<&Session, StoreError> {
        let _starting = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        match self.started.get() {
            Some(session) => Ok(session),
            None => {
                let session = Session::start(&self.base, &self.root)?;
                Ok(self.started.get_or_init(|| session))
            }
        }
    }

    /// The session, if it was started.
    pub fn started(&self) -> Option<&Session> {
        self.started.get()
    }
}

/// The name of an unfinished file or folder, which is removed on drop.
#[derive(Debug)]
pub(crate) struct Unfinished<'a> {
    session: &'a Session,
    name: PathBuf,
    /// True after a rename: no file has this name any more.
    is_gone: bool,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if !self.is_gone {
            drop(self.session.folder.remove_all(&self.name));
        }
    }
}

/// An unfinished file, removed when dropped.
#[derive(Debug)]
pub struct UnfinishedFile<'a> {
    /// The file, open for writing and reading.
    pub file: File,
    pub(crate) name: Unfinished<'a>,
}

impl Unfinished<'_> {
    /// Its path, for messages.
    pub(crate) fn path(&self) -> PathBuf {
        self.session.folder.at(&self.name)
    }
}

impl UnfinishedFile<'_> {
    /// Its path, for messages.
    pub fn path(&self) -> PathBuf {
        self.name.path()
    }

    /// Moves it to a name below `folder`, replacing an existing file.
    ///
    /// # Errors
    /// Same as [`Folder::rename`]; the file is then removed.
    pub fn rename(self, folder: &Folder, to: &Path) -> io::Result<File> {
        self.name.session.folder.rename(&self.name.name, folder, to)?;
        Ok(self.keep())
    }

    /// Moves it to a free name below `folder`.
    ///
    /// # Errors
    /// Same as [`Folder::rename_new`]; also returns the unchanged file.
    pub fn rename_new(self, folder: &Folder, to: &Path) -> Result<File, (Self, io::Error)> {
        match self.name.session.folder.rename_new(&self.name.name, folder, to) {
            Ok(()) => Ok(self.keep()),
            Err(error) => Err((self, error)),
        }
    }

    fn keep(self) -> File {
        let Self { file, mut name } = self;
        name.is_gone = true;
        file
    }
}

/// An unfinished folder, removed with its content on drop.
#[derive(Debug)]
pub(crate) struct UnfinishedFolder<'a> {
    pub(crate) folder: Folder,
    _name: Unfinished<'a>,
}

/// Removes the unlocked folders of sessions. Links are not followed, and only folders are considered.
fn remove_dead_sessions(root: &Folder) {
    for entry in root.entries().into_iter().flatten() {
        if entry.kind != Kind::Folder || !entry.name.to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let name = Path::new(&entry.name);
        let Ok(file) = root.folder(name).and_then(|folder| folder.file()) else { continue };
        // A session whose process lives, or whose lock cannot be checked, keeps its files.
        if file.try_lock().is_ok() {
            drop(root.remove_all(name));
        }
    }
}

/// The notes of each session whose process is alive.
///
/// * `root`: the root of all sessions, below `base`
///
/// # Errors
/// If the notes of a living session cannot be read.
pub(crate) fn uses_of_living(base: &Folder, root: &Path) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut uses = Vec::new();
    for name in living_sessions(base, root)? {
        let path = root.join(name).join(USES);
        match base.read(&path, MAX_USES) {
            Ok(found) => uses.push(found),
            // It has used no blob so far, or has ended.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(StoreError::io("read", &base.at(&path), source)),
        }
    }
    Ok(uses)
}

/// The names of the sessions whose processes are alive, including this process.
///
/// # Errors
/// If the root cannot be read.
pub(crate) fn living_sessions(base: &Folder, root: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let failed = |source| StoreError::io("read", &base.at(root), source);
    let folder = match base.folder(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        folder => folder.map_err(failed)?,
    };
    let mut living = Vec::new();
    for entry in folder.entries().map_err(failed)? {
        if entry.kind != Kind::Folder || !entry.name.to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let name = PathBuf::from(entry.name);
        let lives = match folder.folder(&name).and_then(|session| session.file()) {
            Ok(file) => file.try_lock().is_err(),
            // A session that ended meanwhile is skipped; one that cannot be opened may be alive.
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        };
        if lives {
            living.push(name);
        }
    }
    Ok(living)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn base(dir: &Path) -> Arc<Folder> {
        Arc::new(Folder::open(dir).unwrap())
    }

    fn start(base: &Arc<Folder>) -> Session {
        Session::start(base, Path::new("tmp")).unwrap()
    }

    #[test]
    fn a_dead_session_is_removed_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("tmp");
        let base = base(dir.path());
        let live = start(&base);
        let live_file = live.file().unwrap();
        let dead = root.join("session-of-a-killed-process");
        fs::create_dir_all(dead.join("folder")).unwrap();
        fs::write(dead.join("folder/half"), b"half a blo").unwrap();
        let foreign = root.join("not-ours");
        fs::create_dir(&foreign).unwrap();

        let next = start(&base);
        assert!(!dead.exists());
        assert!(live_file.path().exists());
        assert!(next.folder().path().exists());
        assert!(foreign.exists());
    }

    #[test]
    fn the_last_session_removes_the_root() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("tmp");
        let base = base(dir.path());
        let one = start(&base);
        let two = start(&base);
        fs::write(one.folder().path().join("unfinished"), b"x").unwrap();
        drop(one);
        assert!(root.exists());
        drop(two);
        assert!(!root.exists());
    }

    #[test]
    fn many_sessions_start_and_end_concurrently() {
        let dir = tempfile::tempdir().unwrap();
        let base = base(dir.path());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        let session = start(&base);
                        session.file().unwrap();
                        assert!(session.folder().path().exists());
                    }
                });
            }
        });
        assert!(!dir.path().join("tmp").exists());
    }

    #[test]
    fn a_session_path_with_a_link_is_rejected_and_its_target_untouched() {
        let dir = tempfile::tempdir().unwrap();
        let theirs = dir.path().join("home/session-notes");
        fs::create_dir_all(&theirs).unwrap();
        fs::write(theirs.join("thesis"), "").unwrap();
        fs::create_dir(dir.path().join("store")).unwrap();
        symlink("../home", dir.path().join("store/tmp")).unwrap();
        let error = Session::start(&base(&dir.path().join("store")), Path::new("tmp")).unwrap_err();
        assert!(error.to_string().contains("store/tmp` is a symbolic link to `../home`"), "{error}");
        // A link in the place of a session is not a session.
        fs::create_dir(dir.path().join("other")).unwrap();
        symlink("../home/session-notes", dir.path().join("other/session-link")).unwrap();
        drop(Session::start(&base(dir.path()), Path::new("other")).unwrap());
        assert!(theirs.join("thesis").exists());
    }

    #[test]
    fn a_session_starts_on_first_use() {
        let dir = tempfile::tempdir().unwrap();
        let session = LazySession::new(base(dir.path()), Path::new("tmp"));
        assert!(!dir.path().join("tmp").exists());
        session.get().unwrap().file().unwrap();
        assert!(dir.path().join("tmp").exists() && session.started().is_some());
    }
}
