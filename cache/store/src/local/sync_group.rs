//! Files in their final place that are not durable yet.

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mc_digest::digest::Digest;

use crate::stamp::FileStamp;

/// Limit on the files of a group. Each is open until it is synced, and the default limit on macOS is 256 open files.
const MAX_FILES: usize = 64;

/// Limit on the bytes of a group. A larger file is synced as soon as it is written, since waiting would not help.
const MAX_BYTES: u64 = 64 << 20;

/// Minimum time between two syncs at the end of actions; results of shorter actions are grouped.
const INTERVAL: Duration = Duration::from_millis(200);

/// A file in its final place that is not durable yet.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) file: File,
    /// Its path below the store's folder.
    pub(crate) path: PathBuf,
    pub(crate) n_bytes: u64,
    pub(crate) content: Content,
}

/// The content of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// A blob that this process wrote, and the file's stamp.
    Blob(Digest, FileStamp),
    /// An existing blob that this process verified; another process may have just written it.
    Found(Digest, FileStamp),
    /// An action's result.
    Result,
}

/// The group of files to sync next.
#[derive(Debug)]
pub(crate) struct SyncGroup {
    waiting: Mutex<Waiting>,
    /// Locked while a group is synced, so that only one sync runs while the next group fills.
    syncing: Mutex<()>,
}

#[derive(Debug)]
struct Waiting {
    files: Vec<Written>,
    n_bytes: u64,
    /// End of the last sync.
    last: Instant,
}

/// Urgency of a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Before anything more is written.
    Now,
    /// At once, unless the previous group is being synced.
    Soon,
    /// When the group has grown.
    Later,
}

impl SyncGroup {
    pub(crate) fn new() -> Self {
        let waiting = Waiting { files: Vec::new(), n_bytes: 0, last: Instant::now() };
        Self { waiting: Mutex::new(waiting), syncing: Mutex::default() }
    }

    /// Adds a file.
    pub(crate) fn add(&self, written: Written) -> Due {
        let mut waiting = self.waiting();
        waiting.n_bytes += written.n_bytes;
        let is_result = written.content == Content::Result;
        waiting.files.push(written);
        match () {
            () if waiting.is_full() => Due::Now,
            // The action has ended; its outputs are synced together.
            () if is_result && waiting.last.elapsed() >= INTERVAL => Due::Soon,
            () => Due::Later,
        }
    }

    /// Returns true if the group must be synced before more files are added.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting().is_full()
    }

    /// Waits for the exclusive right to sync.
    pub(crate) fn turn(&self) -> MutexGuard<'_, ()> {
        self.syncing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the exclusive right to sync, if it is free.
    pub(crate) fn free_turn(&self) -> Option<MutexGuard<'_, ()>> {
        self.syncing.try_lock().ok()
    }

    /// Takes the files out of the group.
    pub(crate) fn take(&self) -> Vec<Written> {
        let mut waiting = self.waiting();
        waiting.n_bytes = 0;
        std::mem::take(&mut waiting.files)
    }

    /// Records the end of a sync.
    pub(crate) fn synced(&self) {
        self.waiting().last = Instant::now();
    }

    // Each change is complete before the lock is released.
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn is_full(&self) -> bool {
        self.files.len() >= MAX_FILES || self.n_bytes >= MAX_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(n_bytes: u64, content: Content) -> Written {
        Written { file: tempfile::tempfile().unwrap(), path: PathBuf::new(), n_bytes, content }
    }

    fn blob() -> Content {
        let stamp = FileStamp { device: 1, inode: 2, n_bytes: 3, modified_ns: 4, changed_ns: 5 };
        Content::Blob(Digest::of(b"blob"), stamp)
    }

    #[test]
    fn a_group_is_due_if_full_or_an_action_ends_a_while_after_the_last_sync() {
        let group = SyncGroup::new();
        assert_eq!(group.add(written(1, blob())), Due::Later);
        assert_eq!(group.add(written(MAX_BYTES, blob())), Due::Now);
        assert_eq!(group.take().len(), 2);
        assert!(!group.is_full());
        for _ in 1..MAX_FILES {
            assert_eq!(group.add(written(1, blob())), Due::Later);
        }
        assert_eq!(group.add(written(1, blob())), Due::Now);
        group.take();
        let long_ago = Instant::now().checked_sub(INTERVAL).unwrap();
        group.waiting().last = long_ago;
        assert_eq!(group.add(written(1, blob())), Due::Later, "its action goes on");
        assert_eq!(group.add(written(1, Content::Result)), Due::Soon);
        let turn = group.free_turn().unwrap();
        assert!(group.free_turn().is_none());
        drop(turn);
        group.synced();
        assert!(group.waiting().last > long_ago);
    }
}
