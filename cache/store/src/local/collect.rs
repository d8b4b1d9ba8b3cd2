//! Collects garbage: shrinks a store to a number of bytes, least recently used content first.
//!
//! Use is recorded for results; a blob is removed after the last result that names it. A collection removes in this
//! order, until the store is small enough:
//!
//! 1. damaged blobs that were set aside,
//! 2. blobs that no result names, such as those of a killed build,
//! 3. results, and other contents such as fetched files, by the time of their last use.
//!
//! It keeps the blobs that a living process uses (`uses`), the blobs and results behind outputs in place, and
//! the results that name only kept blobs.
//!
//! Results are removed before blobs, so a killed collection leaves blobs that no result names, but no result without
//! its blobs. A blob is first moved to a separate folder, and removed there once it is known to be unused. If a killed
//! collection leaves blobs in that folder, a process that needs one moves it back; the next collection removes the
//! others.

pub mod other;
mod plan;

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mc_digest::digest::{BlobDigest, Digest};

use crate::error::StoreError;
use crate::folder_lock::lock_folder;
use crate::local::collect::other::Other;
use crate::local::collect::plan::{Held, HeldResult, Plan, plan};
use crate::local::stats::{Count, for_each_file};
use crate::local::store::LocalStore;
use crate::local::verify::hash_of;
use crate::session::living_sessions;

/// Maximum number of blobs moved before the notes of living processes are read.
const BATCH: usize = 1024;

/// Maximum bytes read of a tree.
const MAX_TREE: u64 = 64 << 20;

/// The coarsest clock of the file systems in use.
const CLOCK: Duration = Duration::from_secs(2);

/// Reads a blob that a result names, if the store has it.
pub type ReadBlob<'a> = dyn FnMut(&BlobDigest) -> Option<Vec<u8>> + 'a;

/// Lists the blobs of a result, direct and through other blobs; `None` if the bytes are not a result.
pub type BlobsOf<'a> = dyn Fn(&[u8], &mut ReadBlob<'_>) -> Option<Vec<Digest>> + 'a;

/// Settings of a collection.
pub struct Collection<'a> {
    /// Maximum bytes of the store after the collection.
    pub max_bytes: u64,
    /// Reads results.
    pub blobs_of: &'a BlobsOf<'a>,
    /// Other contents of the store's folder.
    pub others: Vec<Other>,
    /// Only counts the bytes that a real collection would remove.
    pub is_dry: bool,
}

/// The outcome of a collection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Bytes before it.
    pub n_bytes_before: u64,
    /// Bytes after it.
    pub n_bytes_after: u64,
    /// Results that were removed.
    pub results: Count,
    /// Blobs that were removed.
    pub blobs: Count,
    /// Damaged blobs that were removed.
    pub quarantine: Count,
    /// Other contents that were removed.
    pub others: Count,
}

impl Count {
    fn add(&mut self, n_bytes: u64) {
        self.n_files += 1;
        self.n_bytes += n_bytes;
    }
}

impl Collected {
    /// Bytes that were removed.
    pub fn n_bytes_removed(&self) -> u64 {
        self.results.n_bytes + self.blobs.n_bytes + self.quarantine.n_bytes + self.others.n_bytes
    }
}

impl LocalStore {
    /// Shrinks the store to a number of bytes, as far as its content is not in use.
    ///
    /// # Errors
    /// If the store cannot be read, or something cannot be removed.
    pub fn collect(&self, collection: &Collection<'_>) -> Result<Collected, StoreError> {
        if collection.is_dry {
            let held = self.held(collection)?;
            return Ok(expected(&held, &plan(&held, collection.max_bytes)));
        }
        // One collection at a time; builds do not wait for it.
        let lock = lock_folder(self.layout.folder(), self.layout.evicted())?;
        let left_behind = lock.folder.entries().map_err(|source| self.failed("read", source))?;
        let left_behind = left_behind.iter().filter_map(|entry| hash_of(Path::new(&entry.name)));
        let mut collected = Collected::default();
        self.finish_moved(&left_behind.collect::<Vec<_>>(), &BTreeSet::new(), &mut collected)?;
        let left_behind = collected.blobs.n_bytes;
        let started = SystemTime::now();
        let held = self.held(collection)?;
        let plan = plan(&held, collection.max_bytes);
        self.remove(&held, &plan, started, collection, &mut collected)?;
        collected.n_bytes_before = held.n_bytes() + left_behind;
        collected.n_bytes_after = collected.n_bytes_before - collected.n_bytes_removed();
        // The last action under the lock: the next process creates another folder.
        drop(self.layout.folder().remove_folder(self.layout.evicted()));
        Ok(collected)
    }

    /// Bytes of everything that a collection considers. Reads folders only.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn n_bytes_held(&self, others: &[Other]) -> Result<u64, StoreError> {
        let stats = self.stats()?;
        let others: u64 = others.iter().map(|other| other.n_bytes).sum();
        Ok(stats.blobs.n_bytes + stats.actions.n_bytes + stats.quarantine.n_bytes + others)
    }

    fn held(&self, collection: &Collection<'_>) -> Result<Held, StoreError> {
        let folder = self.layout.folder();
        let mut held = Held { others: collection.others.clone(), ..Held::default() };
        for_each_file(folder, self.layout.actions(), &mut |path, status| {
            let Some(hash) = hash_of(path) else { return Ok(()) };
            let result = self.peek_action(&hash, path);
            let blobs = result.and_then(|recorded| {
                (collection.blobs_of)(&recorded.result, &mut |blob| {
                    folder.read(&self.layout.blob(&blob.hash), MAX_TREE).ok()
                })
            });
            held.results.push(HeldResult {
                path: path.to_owned(),
                // An unreadable result is useless, so it is removed first.
                last_used_ns: if blobs.is_some() { status.modified_ns } else { i128::MIN },
                modified_ns: status.modified_ns,
                n_bytes: status.n_bytes,
                blobs: blobs.unwrap_or_default(),
            });
            Ok(())
        })?;
        for_each_file(folder, self.layout.blobs(), &mut |path, status| {
            held.blobs.extend(hash_of(path).map(|hash| (hash, status.n_bytes)));
            Ok(())
        })?;
        for_each_file(folder, self.layout.quarantine(), &mut |path, status| {
            held.quarantine.push((path.to_owned(), status.n_bytes));
            Ok(())
        })?;
        let in_place = self.in_place()?;
        held.pinned = in_place.blobs;
        held.pinned.extend(self.used_blobs()?);
        let is_behind =
            |result: &&HeldResult| hash_of(&result.path).is_some_and(|hash| in_place.results.contains(&hash));
        // The blobs behind a result are pinned too, because a result is kept if all of its blobs stay.
        let behind = held.results.iter().filter(is_behind).flat_map(|result| &result.blobs);
        held.pinned.extend(behind);
        Ok(held)
    }

    fn remove(
        &self,
        held: &Held,
        plan: &Plan,
        started: SystemTime,
        collection: &Collection<'_>,
        collected: &mut Collected,
    ) -> Result<(), StoreError> {
        let folder = self.layout.folder();
        let failed = |path: &Path, source| StoreError::io("remove", &self.layout.at(path), source);
        for &index in &plan.quarantine {
            let (path, n_bytes) = &held.quarantine[index];
            folder.remove_file(path).map_err(|source| failed(path, source))?;
            collected.quarantine.add(*n_bytes);
        }
        let mut kept = BTreeSet::new();
        for &index in &plan.results {
            let result = &held.results[index];
            match folder.status_of(&result.path) {
                // Another process has used it or stored it again since the store was read.
                Ok(status) if status.modified_ns != result.modified_ns => kept.extend(&result.blobs),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                _ => {
                    folder.remove_file(&result.path).map_err(|source| failed(&result.path, source))?;
                    collected.results.add(result.n_bytes);
                }
            }
        }
        for batch in plan.blobs.chunks(BATCH) {
            self.remove_blobs(batch, &kept, started, collection, collected)?;
        }
        self.remove_others(held, plan, collected)
    }

    /// Removes unused blobs.
    ///
    /// * `kept`: blobs that stay
    /// * `started`: the time before the store was read; results recorded since then keep their blobs
    fn remove_blobs(
        &self,
        blobs: &[Digest],
        kept: &BTreeSet<Digest>,
        started: SystemTime,
        collection: &Collection<'_>,
        collected: &mut Collected,
    ) -> Result<(), StoreError> {
        let folder = self.layout.folder();
        let mut moved = Vec::new();
        for hash in blobs.iter().filter(|hash| !kept.contains(hash)) {
            match folder.rename(&self.layout.blob(hash), folder, &self.layout.evicted_blob(hash)) {
                Ok(()) => moved.push(*hash),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(self.failed("move a blob to", source)),
            }
        }
        // A process that ended meanwhile may have recorded a result that names a blob, and its notes are removed.
        let recorded = self.blobs_of_results_since(started, collection)?;
        self.finish_moved(&moved, &recorded, collected)
    }

    /// Moves blobs back that living processes use or that are kept, and removes the others.
    fn finish_moved(
        &self,
        moved: &[Digest],
        kept: &BTreeSet<Digest>,
        collected: &mut Collected,
    ) -> Result<(), StoreError> {
        let used = self.used_blobs()?;
        let folder = self.layout.folder();
        for hash in moved {
            let path = self.layout.evicted_blob(hash);
            // Missing if its user has moved it back.
            let Ok(status) = folder.status_of(&path) else { continue };
            if used.contains(hash) || kept.contains(hash) {
                match self.put_back(hash) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(self.failed("move a blob from", error));
                    }
                    _ => continue,
                }
            }
            let removed = folder.remove_file(&path);
            removed.map_err(|source| StoreError::io("remove", &self.layout.at(&path), source))?;
            collected.blobs.add(status.n_bytes);
        }
        Ok(())
    }

    fn blobs_of_results_since(
        &self,
        started: SystemTime,
        collection: &Collection<'_>,
    ) -> Result<BTreeSet<Digest>, StoreError> {
        let since = started.duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(CLOCK);
        let since_ns = since.as_nanos() as i128;
        let folder = self.layout.folder();
        let mut blobs = BTreeSet::new();
        for_each_file(folder, self.layout.actions(), &mut |path, status| {
            if status.modified_ns < since_ns {
                return Ok(());
            }
            let recorded = hash_of(path).and_then(|hash| self.peek_action(&hash, path));
            let read = &mut |blob: &BlobDigest| self.read_anywhere(&blob.hash);
            blobs.extend(
                recorded
                    .and_then(|recorded| (collection.blobs_of)(&recorded.result, read))
                    .into_iter()
                    .flatten(),
            );
            Ok(())
        })?;
        Ok(blobs)
    }

    /// The bytes of a blob, in its place or in the folder of a collection.
    fn read_anywhere(&self, hash: &Digest) -> Option<Vec<u8>> {
        let paths = [self.layout.blob(hash), self.layout.evicted_blob(hash)];
        paths.iter().find_map(|path| self.layout.folder().read(path, MAX_TREE).ok())
    }

    /// Removes other contents, unless another process is running, because no process notes which of them it uses. No
    /// process can start during the removal.
    fn remove_others(&self, held: &Held, plan: &Plan, collected: &mut Collected) -> Result<(), StoreError> {
        if plan.others.is_empty() {
            return Ok(());
        }
        let (folder, root) = (self.layout.folder(), self.layout.unfinished());
        let own = self.session.started().and_then(|session| session.name());
        let sessions = lock_folder(folder, root)?;
        let living = living_sessions(folder, root)?;
        if living.iter().all(|name| Some(name.as_os_str()) == own) {
            for &index in &plan.others {
                let other = &held.others[index];
                for path in &other.paths {
                    let removed = folder.remove_all(path);
                    removed.map_err(|source| StoreError::io("remove", &self.layout.at(path), source))?;
                }
                collected.others.add(other.n_bytes);
            }
        }
        if own.is_none() {
            drop(folder.remove_folder(root));
        }
        drop(sessions);
        Ok(())
    }

    fn failed(&self, action: &'static str, source: io::Error) -> StoreError {
        StoreError::io(action, &self.layout.at(self.layout.evicted()), source)
    }
}

/// The outcome of a collection if the store does not change meanwhile.
fn expected(held: &Held, plan: &Plan) -> Collected {
    let mut collected = Collected { n_bytes_before: held.n_bytes(), ..Collected::default() };
    plan.results.iter().for_each(|&index| collected.results.add(held.results[index].n_bytes));
    plan.blobs.iter().for_each(|hash| collected.blobs.add(held.blobs[hash]));
    plan.quarantine.iter().for_each(|&index| collected.quarantine.add(held.quarantine[index].1));
    plan.others.iter().for_each(|&index| collected.others.add(held.others[index].n_bytes));
    collected.n_bytes_after = collected.n_bytes_before - collected.n_bytes_removed();
    collected
}

#[cfg(test)]
mod tests;
