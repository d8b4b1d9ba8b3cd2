//! Records the file operations on a disk.
//!
//! A [`FileObserver`] receives operations on names, but not writes to files. So the recorder checks the sizes of all
//! files at each operation: files of a store are written once, front to back.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use mc_files::file_observer::{FileObserver, Operation};
use mc_store::stamp::FileStamp;

/// A file or folder, numbered in the order of creation.
pub(crate) type Id = usize;

/// The root folder of the disk.
pub(crate) const ROOT: Id = 0;

/// A name in a folder.
pub(crate) type Name = (Id, OsString);

/// An operation on a disk.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// A file now has this many bytes.
    Write(Id, usize),
    /// A file or folder was created.
    Link(Name, Id),
    Rename(Name, Name, Id),
    /// Two entries were swapped; each name is listed with its inode before the swap.
    Exchange(Name, Id, Name, Id),
    Unlink(Name, Id),
    /// A file, or the names in a folder, were synced.
    Sync(Id),
    /// Everything was synced, as the system does after some time.
    SyncAll,
}

/// A file or folder.
#[derive(Debug)]
pub(crate) struct Inode {
    /// Its inode number on the disk.
    pub(crate) number: u64,
    /// All bytes that were ever written to a file; `None` for a folder.
    pub(crate) bytes: Option<Vec<u8>>,
    /// Its stamps, each with the number of the operation before which it was observed.
    pub(crate) stamps: Vec<(usize, FileStamp)>,
}

/// The recorded operations and inodes.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) ops: Vec<Op>,
    pub(crate) inodes: Vec<Inode>,
}

/// Records the operations below a folder.
#[derive(Debug)]
pub(crate) struct Recorder {
    root: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    recording: Option<Recording>,
    /// Files are held open, so that their inode numbers are not reused.
    files: BTreeMap<Id, (File, usize)>,
    /// The entries of each folder.
    names: BTreeMap<Id, BTreeMap<OsString, Id>>,
}

impl Recorder {
    /// Starts with the folders present at `root`.
    pub(crate) fn new(root: &Path) -> Self {
        let recording = Recording { ops: Vec::new(), inodes: Vec::new() };
        let mut state = State { recording: Some(recording), ..State::default() };
        state.folder(root);
        for entry in fs::read_dir(root).unwrap() {
            let entry = entry.unwrap();
            let id = state.folder(&entry.path());
            state.link((ROOT, entry.file_name()), id);
        }
        state.push(Op::SyncAll);
        Self { root: root.to_owned(), state: Mutex::new(state) }
    }

    /// Records that the system synced everything.
    pub(crate) fn sync_all(&self) {
        self.state().push(Op::SyncAll);
    }

    /// Ends the recording.
    pub(crate) fn finish(&self) -> Recording {
        let mut state = self.state();
        state.look();
        let State { recording, files, .. } = &mut *state;
        let mut recording = recording.take().expect("it was not finished before");
        for (id, (file, n_bytes)) in std::mem::take(files) {
            let mut bytes = vec![0; n_bytes];
            file.read_exact_at(&mut bytes, 0).unwrap();
            recording.inodes[id].bytes = Some(bytes);
        }
        recording
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The folder of a path, and the name in it.
    fn name(&self, state: &State, path: &Path) -> Name {
        let below = path.strip_prefix(&self.root).expect("everything is on the disk");
        let folder = below.parent().expect("the disk itself is left alone").iter();
        let folder = folder.fold(ROOT, |folder, name| state.names[&folder][name]);
        (folder, below.file_name().unwrap().to_owned())
    }
}

impl FileObserver for Recorder {
    fn saw(&self, operation: &Operation<'_>) {
        let mut state = self.state();
        if state.recording.is_none() {
            return;
        }
        match operation {
            Operation::Opened { path, file } => {
                let name = self.name(&state, path);
                if state.at(&name).is_none() {
                    let id = state.file(file).unwrap();
                    state.link(name, id);
                }
            }
            Operation::FolderMade { path } => {
                let (name, id) = (self.name(&state, path), state.folder(path));
                state.link(name, id);
            }
            Operation::Renamed { from, to } => {
                let (from, to) = (self.name(&state, from), self.name(&state, to));
                let id = state.at(&from).expect("it was there");
                state.entries(from.0).remove(&from.1);
                state.entries(to.0).insert(to.1.clone(), id);
                state.push(Op::Rename(from, to, id));
            }
            Operation::Exchanged { one, other } => {
                let (one, other) = (self.name(&state, one), self.name(&state, other));
                let ids = (state.at(&one).expect("it was there"), state.at(&other).expect("it was there"));
                state.entries(one.0).insert(one.1.clone(), ids.1);
                state.entries(other.0).insert(other.1.clone(), ids.0);
                state.push(Op::Exchange(one, ids.0, other, ids.1));
            }
            Operation::Removed { path } => {
                let name = self.name(&state, path);
                state.unlink(name);
            }
            Operation::Synced { file } => {
                // Files from before the recording are ignored.
                if let Some(id) = state.id_of(file.metadata().unwrap().ino()) {
                    state.push(Op::Sync(id));
                }
            }
        }
        state.look();
    }
}

impl State {
    fn recording(&mut self) -> &mut Recording {
        self.recording.as_mut().expect("it is not finished")
    }

    fn push(&mut self, op: Op) {
        self.look();
        self.recording().ops.push(op);
    }

    fn inode(&mut self, number: u64) -> Id {
        let inodes = &mut self.recording().inodes;
        inodes.push(Inode { number, bytes: None, stamps: Vec::new() });
        inodes.len() - 1
    }

    fn folder(&mut self, path: &Path) -> Id {
        let id = self.inode(fs::metadata(path).unwrap().ino());
        self.names.insert(id, BTreeMap::new());
        id
    }

    fn file(&mut self, file: &File) -> io::Result<Id> {
        let id = self.inode(file.metadata()?.ino());
        self.files.insert(id, (file.try_clone()?, 0));
        Ok(id)
    }

    /// The last inode with this number.
    fn id_of(&mut self, number: u64) -> Option<Id> {
        self.recording().inodes.iter().rposition(|inode| inode.number == number)
    }

    fn at(&self, (folder, name): &Name) -> Option<Id> {
        self.names[folder].get(name).copied()
    }

    fn entries(&mut self, folder: Id) -> &mut BTreeMap<OsString, Id> {
        self.names.get_mut(&folder).expect("it is a folder")
    }

    fn link(&mut self, name: Name, id: Id) {
        self.entries(name.0).insert(name.1.clone(), id);
        self.push(Op::Link(name, id));
    }

    /// Removes an entry and its contents, one after the other.
    fn unlink(&mut self, name: Name) {
        let Some(id) = self.at(&name) else { return };
        let below: Vec<OsString> =
            self.names.get(&id).into_iter().flat_map(|names| names.keys().cloned()).collect();
        for entry in below {
            self.unlink((id, entry));
        }
        self.entries(name.0).remove(&name.1);
        self.push(Op::Unlink(name, id));
    }

    /// Records the changes of files since the last operation.
    fn look(&mut self) {
        let Self { recording, files, .. } = self;
        let Recording { ops, inodes } = recording.as_mut().expect("it is not finished");
        for (id, (file, n_bytes)) in files {
            let stamp = FileStamp::of(&file.metadata().unwrap());
            let n_bytes_now = stamp.n_bytes as usize;
            if n_bytes_now != *n_bytes {
                *n_bytes = n_bytes_now;
                ops.push(Op::Write(*id, n_bytes_now));
            }
            let stamps = &mut inodes[*id].stamps;
            if stamps.last().is_none_or(|(_, before)| *before != stamp) {
                stamps.push((ops.len(), stamp));
            }
        }
    }
}
