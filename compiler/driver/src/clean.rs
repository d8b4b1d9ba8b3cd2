//! Removes outputs and stores.
//!
//! Only what `mc` made is removed: the folder `mc-out` of a workspace, and the known entries of a folder that carries a
//! store's `VERSION` file. It is moved aside first, by a rename for each entry: builds that go on meanwhile make their
//! folders anew and keep putting files into those, so there is an end to it.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use mc_files::folder::Folder;
use mc_files::regular;

use crate::out_folder::foreign_entry;
use crate::workspace::{OUT, Workspace};

/// The entries of a store. `VERSION` stays: a build that goes on meanwhile makes folders anew, and without it nobody
/// would know them as those of a store.
const STORE: [&str; 9] = ["ac", "cas", "evicted", "fetched", "memo", "out", "quarantine", "remote", "tmp"];

/// A failure to remove something.
#[derive(Debug, thiserror::Error)]
pub enum CleanError {
    /// The operating system refused.
    #[error("Cannot remove `{path}`", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The folder for outputs holds files that mc did not make.
    #[error("`{dir}` was not made by mc", dir = dir.display())]
    ForeignOutputs {
        /// The folder.
        dir: PathBuf,
        /// One of the files.
        entry: String,
    },
    /// The folder is not a store.
    #[error("`{dir}` is not a store of mc", dir = dir.display())]
    NotAStore {
        /// The folder.
        dir: PathBuf,
    },
}

/// Files and folders that are to be removed, found before anything is removed.
#[derive(Default)]
pub struct Removal {
    places: Vec<Place>,
}

impl Removal {
    /// Adds the outputs of a workspace.
    ///
    /// # Errors
    /// If the workspace cannot be read, or the folder for outputs is not ours.
    pub fn add_outputs(&mut self, workspace: &Workspace) -> Result<(), CleanError> {
        let foreign = foreign_entry(workspace).map_err(|error| cannot_remove(&workspace.out(), error))?;
        if let Some(entry) = foreign {
            return Err(CleanError::ForeignOutputs { dir: workspace.out(), entry });
        }
        self.places.push(Place::new(&workspace.root, &[OUT])?);
        Ok(())
    }

    /// Adds the contents of a store, if there is one.
    ///
    /// # Errors
    /// If the folder is not a store, or cannot be read.
    pub fn add_store(&mut self, dir: &Path) -> Result<(), CleanError> {
        if !dir.exists() {
            return Ok(());
        }
        if !is_store(dir) {
            return Err(CleanError::NotAStore { dir: dir.to_owned() });
        }
        self.places.push(Place::new(dir, &STORE)?);
        Ok(())
    }

    /// The paths that are to be removed.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.places.iter().flat_map(Place::paths).collect()
    }

    /// Removes them. Links are removed and not followed.
    ///
    /// # Errors
    /// If one of them cannot be removed; others may be gone by then.
    pub fn run(&self) -> Result<(), CleanError> {
        self.places.iter().try_for_each(Place::remove)
    }
}

/// Entries of a folder that are to be removed.
struct Place {
    folder: Folder,
    /// Those that are there.
    names: Vec<PathBuf>,
}

/// The beginning of the name of a folder that entries are moved into before they are removed. One that is left behind
/// by a process that was killed goes next time.
const ASIDE: &str = ".mc-removed-";

/// Attempts to find a free name.
const MAX_ATTEMPTS: u32 = 1000;

impl Place {
    fn new(path: &Path, names: &[&str]) -> Result<Self, CleanError> {
        let opened = Folder::open(path).and_then(|folder| Ok((folder.entries()?, folder)));
        let (entries, folder) = opened.map_err(|error| cannot_remove(path, error))?;
        let is_ours = |name: &OsStr| {
            names.iter().any(|ours| name == *ours)
                || name.to_str().is_some_and(|name| name.starts_with(ASIDE))
        };
        let names = entries.into_iter().filter(|entry| is_ours(&entry.name));
        Ok(Self { names: names.map(|entry| entry.name.into()).collect(), folder })
    }

    fn paths(&self) -> impl Iterator<Item = PathBuf> {
        self.names.iter().map(|name| self.folder.at(name))
    }

    /// Takes what is there now out of the way of builds that go on, and then removes it. A link is removed and not
    /// followed.
    fn remove(&self) -> Result<(), CleanError> {
        if self.names.is_empty() {
            return Ok(());
        }
        let failed = |name: &Path, error| cannot_remove(&self.folder.at(name), error);
        let aside = self.aside().map_err(|error| failed(Path::new(ASIDE), error))?;
        for name in &self.names {
            match self.folder.rename(name, &self.folder, &aside.join(name)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                // The place of a disk, or a folder that may not be moved: it is emptied where it is.
                Err(_) => self.folder.remove_all(name).map_err(|error| failed(name, error))?,
                Ok(()) => {}
            }
        }
        self.folder.remove_all(&aside).map_err(|error| failed(&aside, error))
    }

    /// Makes a folder of a free name.
    fn aside(&self) -> io::Result<PathBuf> {
        for attempt in 0..MAX_ATTEMPTS {
            let name = PathBuf::from(format!("{ASIDE}{}-{attempt}", std::process::id()));
            match self.folder.create_new_folder(&name) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => return made.map(|()| name),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

fn cannot_remove(path: &Path, error: io::Error) -> CleanError {
    CleanError::Io { path: path.to_owned(), source: error }
}

fn is_store(dir: &Path) -> bool {
    // The most bytes that a `VERSION` has.
    const LIMIT: u64 = 4096;
    regular::read_text(&dir.join("VERSION"), LIMIT).is_ok_and(|version| version.starts_with("mc-store"))
}
