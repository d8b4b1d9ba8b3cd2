//! Files in memory, for tests and for unsaved texts. Clones share the files.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mc_ir::rule::SourceError;

use crate::file_system::{Entry, FileSystem, Stat, missing, unusable};

/// A tree of files in memory. A folder exists if a file lies below it; the root always exists.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    files: Arc<Mutex<BTreeMap<String, Arc<[u8]>>>>,
}

impl Memory {
    /// Creates the files, given as path and text.
    pub fn new(files: &[(&str, &str)]) -> Self {
        let memory = Self::default();
        for (path, text) in files {
            memory.write(path, text.as_bytes());
        }
        memory
    }

    /// Writes a file; replaces an existing one.
    pub fn write(&self, path: &str, bytes: &[u8]) {
        self.files().insert(path.to_owned(), bytes.into());
    }

    /// Removes a file.
    pub fn remove(&self, path: &str) {
        self.files().remove(path);
    }

    // The map is consistent after every operation, even if another thread panicked while it held the lock.
    fn files(&self) -> MutexGuard<'_, BTreeMap<String, Arc<[u8]>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FileSystem for Memory {
    fn stat(&self, path: &str) -> Result<Stat, SourceError> {
        let files = self.files();
        if let Some(bytes) = files.get(path) {
            return Ok(Stat { is_folder: false, n_bytes: bytes.len() as u64, stamp: None });
        }
        let prefix = prefix(path);
        if path.is_empty()
            || files.range(prefix.clone()..).next().is_some_and(|(file, _)| file.starts_with(&prefix))
        {
            return Ok(Stat { is_folder: true, n_bytes: 0, stamp: None });
        }
        Err(missing(path))
    }

    fn read_start(&self, path: &str, n_bytes: u64) -> Result<Vec<u8>, SourceError> {
        if self.stat(path)?.is_folder {
            return Err(unusable(path, "is a folder, expected a file"));
        }
        let bytes = self.files().get(path).cloned().ok_or_else(|| missing(path))?;
        let n_bytes = usize::try_from(n_bytes).unwrap_or(usize::MAX).min(bytes.len());
        Ok(bytes[..n_bytes].to_vec())
    }

    fn list(&self, folder: &str) -> Result<Vec<Entry>, SourceError> {
        if !self.stat(folder)?.is_folder {
            return Err(unusable(folder, "is a file, expected a folder"));
        }
        let prefix = prefix(folder);
        let mut entries: Vec<Entry> = self
            .files()
            .keys()
            .filter_map(|file| file.strip_prefix(&prefix))
            .map(|rest| match rest.split_once('/') {
                Some((folder, _)) => entry(folder, true),
                None => entry(rest, false),
            })
            .collect();
        entries.sort();
        entries.dedup();
        Ok(entries)
    }
}

fn entry(name: &str, is_folder: bool) -> Entry {
    Entry { name: name.to_owned(), not_utf8: None, is_folder, is_link: false }
}

fn prefix(folder: &str) -> String {
    if folder.is_empty() { String::new() } else { format!("{folder}/") }
}
