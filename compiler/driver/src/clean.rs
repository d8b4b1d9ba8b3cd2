//! Removes outputs and stores.
//!
//! Only files of `mc` are removed: the folder `mc-out` of a workspace, and the known entries of a folder with a store's
//! `VERSION` file. Each entry is first moved aside by a rename: concurrent builds create their folders anew and write
//! only into those, so the removal terminates.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use mc_files::folder::Folder;
use mc_files::regular;

use crate::out_folder::foreign_entry;
use crate::workspace::{OUT, Workspace};

/// The entries of a store. `VERSION` stays: a concurrent build creates folders again, and without `VERSION` they could
/// not be recognized as those of a store.
const STORE: [&str; 9] = ["ac", "cas", "evicted", "fetched", "memo", "out", "quarantine", "remote", "tmp"];

/// An error while removing something.
#[derive(Debug, thiserror::Error)]
pub enum CleanError {
    /// The operating system returned an error.
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

/// Files and folders to remove, collected before anything is removed.
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

    /// The paths to remove.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.places.iter().flat_map(Place::paths).collect()
    }

    /// Removes the files and folders. Links are removed, not followed.
    ///
    /// # Errors
    /// If one of them cannot be removed; others may be removed already.
    pub fn run(&self) -> Result<(), CleanError> {
        self.places.iter().try_for_each(Place::remove)
    }
}

/// Entries of a folder to remove.
struct Place {
    folder: Folder,
    /// The entries that exist.
    names: Vec<PathBuf>,
}

/// Name prefix of the folder into which entries are moved before they are removed. If a killed process leaves one
/// behind, the next removal includes it.
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

    /// Moves the current entries out of the way of concurrent builds, then removes them. A link is removed, not
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
                // A mount point, or a folder that must not be moved: it is emptied in place.
                Err(_) => self.folder.remove_all(name).map_err(|error| failed(name, error))?,
                Ok(()) => {}
            }
        }
        self.folder.remove_all(&aside).map_err(|error| failed(&aside, error))
    }

    /// Creates a folder with a free name.
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
    // Maximum number of bytes of a `VERSION` file.
    const LIMIT: u64 = 4096;
    regular::read_text(&dir.join("VERSION"), LIMIT).is_ok_and(|version| version.starts_with("mc-store"))
}
