//! What is fetched, counted, and read again from end to end, without a lock file: each folder has the list of its files
//! beside it, and is named by the digest of that list.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mc_digest::digest::Digest;

use crate::area::{Area, digest};
use crate::error::FetchError;
use crate::lock_file::{LockFile, LockedFile, entry_digest};

/// Files, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// How many there are.
    pub n_files: u64,
    /// Their bytes.
    pub n_bytes: u64,
}

/// What is below the folder of fetched files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Files that are here as a whole.
    pub whole: Held,
    /// Files that are on their way.
    pub unfinished: Held,
}

/// What reading everything showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Files with the bytes that were pinned.
    pub intact: Held,
    /// What was not as it should be, each as a sentence; it is removed, and comes anew with the next fetch.
    pub damaged: Vec<String>,
}

impl Area {
    /// Counts what is here; nothing is read but folders.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn inventory(&self) -> Result<Inventory, FetchError> {
        let mut inventory = Inventory::default();
        for folder in self.folders()? {
            count(&folder, &mut inventory.whole)?;
        }
        for folder in subfolders(&self.partial())? {
            count(&folder.join("files"), &mut inventory.unfinished)?;
        }
        Ok(inventory)
    }

    /// Reads every file and compares it with its digest, whatever the file system says about it.
    ///
    /// # Errors
    /// When something cannot be read, or something damaged cannot be removed.
    pub fn verify(&self) -> Result<Verified, FetchError> {
        let mut verified = Verified::default();
        for folder in self.folders()? {
            let Some(files) = described(&folder) else {
                let told = format!(
                    "The list of the files in `{}` is damaged; the folder is removed",
                    folder.display()
                );
                verified.damaged.push(told);
                self.forget(&folder)?;
                continue;
            };
            for file in &files {
                let path = folder.join(&file.name);
                match digest(&path) {
                    Ok(found) if found == file.digest.hash => {
                        verified.intact.n_files += 1;
                        verified.intact.n_bytes += file.digest.n_bytes;
                        continue;
                    }
                    // Another process takes the folder back or removes it.
                    Err(_) if !folder.exists() => break,
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(FetchError::io("read", &path, error));
                    }
                    Ok(found) => verified.damaged.push(format!(
                        "Fetched file `{}` is damaged: its digest is {found}, and {} was pinned; it is removed",
                        path.display(),
                        file.digest.hash
                    )),
                    Err(_) => verified.damaged.push(format!("Fetched file `{}` is missing", path.display())),
                }
                // Without the stamps the next fetch reads what is left, and brings the rest.
                remove_file(&folder.with_extension("stamps"))?;
                remove_file(&path)?;
            }
        }
        Ok(verified)
    }

    /// The folders of whole entries, in the order of their names.
    fn folders(&self) -> Result<Vec<PathBuf>, FetchError> {
        let is_entry = |folder: &PathBuf| {
            let name = folder.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.parse::<Digest>().is_ok())
        };
        let mut folders = subfolders(self.root())?;
        folders.retain(is_entry);
        Ok(folders)
    }

    fn forget(&self, folder: &Path) -> Result<(), FetchError> {
        remove_file(&folder.with_extension("stamps"))?;
        remove_file(&folder.with_extension("lock"))?;
        fs::remove_dir_all(folder).map_err(|error| FetchError::io("remove", folder, error))
    }
}

/// The files that a folder was made of, if the list beside it is the one that the folder is named by.
fn described(folder: &Path) -> Option<Vec<LockedFile>> {
    let text = fs::read_to_string(folder.with_extension("lock")).ok()?;
    let (origin, files) = LockFile::parse(&text).ok()?.entries.into_iter().next()?;
    (folder.file_name()?.to_str()? == entry_digest(&origin, &files).to_string()).then_some(files)
}

fn subfolders(folder: &Path) -> Result<Vec<PathBuf>, FetchError> {
    let failed = |error| FetchError::io("read", folder, error);
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn count(folder: &Path, held: &mut Held) -> Result<(), FetchError> {
    let failed = |error| FetchError::io("read", folder, error);
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(failed)?,
    };
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => count(&path, held)?,
            Ok(metadata) => {
                held.n_files += 1;
                held.n_bytes += metadata.len();
            }
            // Another process is at work.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(FetchError::io("examine", &path, error)),
        }
    }
    Ok(())
}

fn remove_file(path: &Path) -> Result<(), FetchError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FetchError::io("remove", path, error)),
        _ => Ok(()),
    }
}
