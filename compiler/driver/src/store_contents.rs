//! The contents of the store: counts, and verification against the digests.

use mc_fetch::area::Area;
use mc_fetch::inventory::Held;
use mc_store::error::StoreError;
use mc_store::local::stats::{Count, Stats};

use crate::fetching::error::{FetchingError, Task};
use crate::store::{Store, StoreUnavailable};

/// The contents of a store.
#[derive(Clone, Debug)]
pub struct Contents {
    /// Blobs, results and quarantined objects.
    pub stats: Stats,
    /// Fetched files.
    pub fetched: Count,
    /// Parts of unfinished downloads.
    pub unfinished: Count,
}

/// Result of a verification of the store.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Blobs, results and quarantined objects.
    pub stats: Stats,
    /// Intact fetched files.
    pub fetched: Count,
    /// Descriptions of all damaged objects.
    pub damaged: Vec<String>,
}

/// A store whose contents cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ContentsError {
    /// The store cannot be opened.
    #[error(transparent)]
    Unavailable(#[from] StoreUnavailable),
    /// Blobs and results cannot be read.
    #[error("Cannot use the store")]
    Store(#[from] StoreError),
    /// Fetched files cannot be read.
    #[error(transparent)]
    Fetched(#[from] FetchingError),
}

/// Counts the contents of the store.
///
/// # Errors
/// If the store cannot be read.
pub fn count(store: &Store) -> Result<Contents, ContentsError> {
    let store = store.open()?;
    let stats = store.stats()?;
    let inventory = Area::new(store.root()).inventory().map_err(|error| Task::Read.failed(error))?;
    Ok(Contents { stats, fetched: counted(inventory.whole), unfinished: counted(inventory.unfinished) })
}

/// Reads everything in the store, and verifies the digests. Damaged objects are set aside.
///
/// # Errors
/// If the store cannot be read.
pub fn verify(store: &Store) -> Result<Verified, ContentsError> {
    let store = store.open()?;
    let stats = store.verify()?;
    let mut damaged: Vec<String> = store.take_corruptions().iter().map(ToString::to_string).collect();
    let fetched = Area::new(store.root()).verify().map_err(|error| Task::Read.failed(error))?;
    damaged.extend(fetched.damaged);
    Ok(Verified { stats, fetched: counted(fetched.intact), damaged })
}

fn counted(held: Held) -> Count {
    Count { n_files: held.n_files, n_bytes: held.n_bytes }
}
