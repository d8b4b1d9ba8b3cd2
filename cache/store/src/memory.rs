//! A store in memory, for tests and for builds that must leave no trace.

use crate::attester::Attester;
use crate::error::StoreError;
use crate::mapping::MappedFile;
use crate::traits::{ActionCache, BlobStore, BlobWriter, Recorded};
use mc_digest::digest::{ActionDigest, BlobDigest};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Limit on the size of a blob in memory.
const ROOM: u64 = 1 << 30;

/// Blobs and action results in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    blobs: Mutex<BTreeMap<BlobDigest, MappedFile>>,
    actions: Mutex<BTreeMap<ActionDigest, Recorded>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Removes a blob, as an eviction would.
    pub fn remove(&self, digest: &BlobDigest) {
        locked(&self.blobs).remove(digest);
    }
}

// Each call on the map is atomic, so the map stays valid after a panic elsewhere.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl BlobStore for MemoryStore {
    fn contains(&self, digest: &BlobDigest) -> Result<bool, StoreError> {
        Ok(locked(&self.blobs).contains_key(digest))
    }

    fn open(&self, digest: &BlobDigest) -> Result<Option<MappedFile>, StoreError> {
        Ok(locked(&self.blobs).get(digest).cloned())
    }

    fn room(&self) -> Result<Option<u64>, StoreError> {
        Ok(Some(ROOM))
    }

    fn writer(&self) -> Result<Box<dyn BlobWriter + '_>, StoreError> {
        Ok(Box::new(MemoryWriter { store: self, bytes: Vec::new() }))
    }
}

struct MemoryWriter<'a> {
    store: &'a MemoryStore,
    bytes: Vec<u8>,
}

impl io::Write for MemoryWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl BlobWriter for MemoryWriter<'_> {
    fn finish(self: Box<Self>) -> Result<BlobDigest, StoreError> {
        let digest = BlobDigest::of(&self.bytes);
        locked(&self.store.blobs).entry(digest).or_insert_with(|| MappedFile::from(self.bytes));
        Ok(digest)
    }
}

impl ActionCache for MemoryStore {
    fn get(&self, digest: &ActionDigest) -> Result<Option<Recorded>, StoreError> {
        Ok(locked(&self.actions).get(digest).cloned())
    }

    fn put(
        &self,
        digest: &ActionDigest,
        result: &[u8],
        attester: Option<Attester>,
    ) -> Result<(), StoreError> {
        let mut actions = locked(&self.actions);
        let before = actions.remove(digest);
        actions.insert(*digest, Recorded::after(before, result, attester));
        Ok(())
    }

    fn forget(&self, digest: &ActionDigest) -> Result<(), StoreError> {
        locked(&self.actions).remove(digest);
        Ok(())
    }
}
