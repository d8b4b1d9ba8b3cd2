//! Counts and verifies all fetched files without a lock file: each folder has a list of its files next to it, and its
//! name is the digest of that list.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mc_digest::digest::Digest;
use mc_files::folder::Folder;
use mc_files::status::Kind;

use crate::area::{Area, FETCHED, PARTIAL, digest, is_replaced};
use crate::error::FetchError;
use crate::lock_file::{LockFile, LockedFile, MAX_LOCK, entry_digest};

/// A number of files and their total size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Number of files.
    pub n_files: u64,
    /// Their total size.
    pub n_bytes: u64,
}

/// Counts of the fetched files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Published files.
    pub whole: Held,
    /// Partly downloaded files.
    pub unfinished: Held,
}

/// Result of reading every file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Files that match their pins.
    pub intact: Held,
    /// One sentence per damaged file. Damaged files are removed, and the next fetch downloads them again.
    pub damaged: Vec<String>,
}

/// A folder of fetched files, with the metadata next to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedFolder {
    /// The folder.
    pub folder: PathBuf,
    /// The paths below the store that belong to it, in a safe order of removal: if the removal is interrupted, the
    /// folder counts as damaged and is fetched again.
    pub paths: Vec<PathBuf>,
    /// Total size of its files in bytes.
    pub n_bytes: u64,
    /// The time of its last use.
    pub last_used: SystemTime,
}

impl Area {
    /// Lists the folders of complete entries.
    ///
    /// # Errors
    /// Fails if a folder cannot be read.
    pub fn folders(&self) -> Result<Vec<FetchedFolder>, FetchError> {
        let Some(store) = self.store_if_there()? else { return Ok(Vec::new()) };
        let mut folders = Vec::new();
        for folder in entries(&store)? {
            let mut held = Held::default();
            count(&store, folder.clone(), &mut held)?;
            let list = folder.with_extension("lock");
            // A folder without its list counts as unused, so that it is removed first.
            let used = store.status_of(&list).map_or(0, |status| status.modified_ns);
            let last_used = UNIX_EPOCH + Duration::from_nanos(u64::try_from(used).unwrap_or(0));
            let paths = vec![folder.with_extension("stamps"), folder.clone(), list];
            folders.push(FetchedFolder {
                folder: store.at(&folder),
                paths,
                n_bytes: held.n_bytes,
                last_used,
            });
        }
        Ok(folders)
    }

    /// Counts the fetched files; reads only folders.
    ///
    /// # Errors
    /// Fails if a folder cannot be read.
    pub fn inventory(&self) -> Result<Inventory, FetchError> {
        let mut inventory = Inventory::default();
        let Some(store) = self.store_if_there()? else { return Ok(inventory) };
        for folder in entries(&store)? {
            count(&store, folder, &mut inventory.whole)?;
        }
        for folder in subfolders(&store, Path::new(PARTIAL))? {
            count(&store, folder.join("files"), &mut inventory.unfinished)?;
        }
        Ok(inventory)
    }

    /// Reads every file and compares it with its digest, ignoring recorded stamps.
    ///
    /// # Errors
    /// Fails if something cannot be read, or a damaged file cannot be removed.
    pub fn verify(&self) -> Result<Verified, FetchError> {
        let Some(store) = self.store_if_there()? else { return Ok(Verified::default()) };
        let remove = |path: &Path| {
            store.remove_all(path).map_err(|error| FetchError::io("remove", &store.at(path), error))
        };
        let mut verified = Verified::default();
        for folder in entries(&store)? {
            let Some(files) = described(&store, &folder) else {
                let reported = format!(
                    "The list of the files in `{}` is damaged; the folder was removed",
                    store.at(&folder).display()
                );
                verified.damaged.push(reported);
                remove(&folder.with_extension("stamps"))?;
                remove(&folder.with_extension("lock"))?;
                remove(&folder)?;
                continue;
            };
            for file in &files {
                let path = folder.join(&file.name);
                let shown = store.at(&path);
                match store.open_file(&path).and_then(|opened| digest(&opened, file.digest.n_bytes)) {
                    Ok(found) if found == file.digest => {
                        verified.intact.n_files += 1;
                        verified.intact.n_bytes += file.digest.n_bytes;
                        continue;
                    }
                    // Another process moved or removed the folder.
                    Err(_) if store.status_of(&folder).is_err() => break,
                    Err(error) if !is_replaced(&error) => return Err(FetchError::io("read", &shown, error)),
                    Ok(found) if found.n_bytes != file.digest.n_bytes => verified.damaged.push(format!(
                        "Fetched file `{}` is damaged: it has {} bytes, expected {}; it was removed",
                        shown.display(),
                        found.n_bytes,
                        file.digest.n_bytes
                    )),
                    Ok(found) => verified.damaged.push(format!(
                        "Fetched file `{}` is damaged: its digest is {}, expected {}; it was removed",
                        shown.display(),
                        found.hash,
                        file.digest.hash
                    )),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        verified.damaged.push(format!("Fetched file `{}` is missing", shown.display()));
                    }
                    Err(error) => verified.damaged.push(format!("Fetched file: {error}; it was removed")),
                }
                // Without the stamps the next fetch reads the remaining files and downloads the others.
                remove(&folder.with_extension("stamps"))?;
                // If a link is in the path, the link itself is removed.
                let in_place = path
                    .ancestors()
                    .take_while(|above| *above != folder)
                    .find(|above| store.status_of(above).is_ok());
                in_place.map_or(Ok(()), remove)?;
            }
        }
        Ok(verified)
    }
}

/// The folders of complete entries, sorted by name.
fn entries(store: &Folder) -> Result<Vec<PathBuf>, FetchError> {
    let is_entry = |folder: &PathBuf| {
        let name = folder.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.parse::<Digest>().is_ok())
    };
    let mut folders = subfolders(store, Path::new(FETCHED))?;
    folders.retain(is_entry);
    Ok(folders)
}

/// The list of a folder's files, if the list next to it matches the digest in the folder's name.
fn described(store: &Folder, folder: &Path) -> Option<Vec<LockedFile>> {
    let text = String::from_utf8(store.read(&folder.with_extension("lock"), MAX_LOCK).ok()?).ok()?;
    let (origin, files) = LockFile::parse(&text).ok()?.entries.into_iter().next()?;
    (folder.file_name()?.to_str()? == entry_digest(&origin, &files).to_string()).then_some(files)
}

/// The folders in a folder, as paths below the store; links do not count.
fn subfolders(store: &Folder, folder: &Path) -> Result<Vec<PathBuf>, FetchError> {
    let entries = match store.folder(folder).and_then(|folder| folder.entries()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|error| FetchError::io("read", &store.at(folder), error))?,
    };
    let folders = entries.into_iter().filter(|entry| entry.kind == Kind::Folder);
    Ok(folders.map(|entry| folder.join(entry.name)).collect())
}

/// Counts the files in a folder and its subfolders.
fn count(store: &Folder, folder: PathBuf, held: &mut Held) -> Result<(), FetchError> {
    let mut open = vec![folder];
    while let Some(folder) = open.pop() {
        let entries = match store.folder(&folder).and_then(|folder| folder.entries()) {
            // Another process is using it, or another user fetched it with credentials.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) =>
            {
                continue;
            }
            other => other.map_err(|error| FetchError::io("read", &store.at(&folder), error))?,
        };
        for entry in entries {
            let path = folder.join(&entry.name);
            match store.status_of(&path) {
                Ok(status) if status.kind == Kind::Folder => open.push(path),
                Ok(status) => {
                    held.n_files += 1;
                    held.n_bytes += status.n_bytes;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(FetchError::io("examine", &store.at(&path), error)),
            }
        }
    }
    Ok(())
}
