//! The local store, opened once, on first use.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use mc_store::error::StoreError;
use mc_store::local::store::LocalStore;

/// The local store. Its folder is created and accessed only when something is read or written.
#[derive(Debug, Default)]
pub struct Store {
    dir: Option<PathBuf>,
    opened: Mutex<Option<Arc<LocalStore>>>,
}

/// A store that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreUnavailable {
    /// No folder is configured.
    #[error("Cannot determine the folder of the store")]
    NoFolder,
    /// The folder cannot be used.
    #[error("Cannot use the store")]
    Unusable(#[source] Box<StoreError>),
}

impl From<StoreError> for StoreUnavailable {
    fn from(error: StoreError) -> Self {
        Self::Unusable(Box::new(error))
    }
}

impl Store {
    /// A store in a folder.
    ///
    /// * `dir`: `None` if the folder is unknown, which is an error only when the store is used
    pub fn new(dir: Option<PathBuf>) -> Self {
        Self { dir, opened: Mutex::default() }
    }

    /// The folder of the store.
    ///
    /// # Errors
    /// If it is unknown.
    pub fn dir(&self) -> Result<&Path, StoreUnavailable> {
        self.dir.as_deref().ok_or(StoreUnavailable::NoFolder)
    }

    /// The format version of the store in the folder, if there is one.
    pub fn format(&self) -> Option<String> {
        let version = std::fs::read_to_string(self.dir.as_ref()?.join("VERSION")).ok()?;
        Some(version.trim().to_owned())
    }

    /// Opens the store; creates it if there is none.
    ///
    /// # Errors
    /// If the folder is unknown, is not a store, or cannot be used.
    pub fn open(&self) -> Result<Arc<LocalStore>, StoreUnavailable> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = &*opened {
            return Ok(Arc::clone(store));
        }
        let store = Arc::new(LocalStore::open(self.dir()?)?);
        Ok(Arc::clone(opened.insert(store)))
    }
}

impl Store {
    /// Tells other processes that fetched files in the store are in use from now on, if there is a store.
    pub(crate) fn announce(&self) {
        if self.format().is_some()
            && let Ok(store) = self.open()
        {
            store.announce();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_opened_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(Some(folder.path().join("store")));
        assert!(!folder.path().join("store").exists());
        assert!(Arc::ptr_eq(&store.open().unwrap(), &store.open().unwrap()));
    }

    #[test]
    fn a_store_without_a_folder_is_an_error_only_on_use() {
        assert!(matches!(Store::default().open(), Err(StoreUnavailable::NoFolder)));
    }
}
