//! Files that are in place and not durable yet.

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mc_digest::digest::Digest;

use crate::stamp::FileStamp;

/// Files of a group. Each is open until it is durable, and macOS allows 256 open files where nobody asked for more.
const MAX_FILES: usize = 64;

/// Bytes of a group. A file of more is synced as soon as it is written, since nothing is gained by waiting.
const MAX_BYTES: u64 = 64 << 20;

/// Time after a sync in which results wait for each other: those of an action that takes longer are synced when it ends.
const INTERVAL: Duration = Duration::from_millis(200);

/// A file that is in place and not durable yet.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) file: File,
    /// Its path below the store's folder.
    pub(crate) path: PathBuf,
    pub(crate) n_bytes: u64,
    pub(crate) content: Content,
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// A blob that this process wrote, and the file's stamp.
    Blob(Digest, FileStamp),
    /// A blob that was there, perhaps as another process had just written it; this process has checked it.
    Found(Digest, FileStamp),
    /// An action's result.
    Result,
}

/// The files of a store that are to be synced next.
#[derive(Debug)]
pub(crate) struct SyncGroup {
    waiting: Mutex<Waiting>,
    /// Held while a group is synced, so that there is one at a time and another one gathers meanwhile.
    syncing: Mutex<()>,
}

#[derive(Debug)]
struct Waiting {
    files: Vec<Written>,
    n_bytes: u64,
    /// When the last sync ended.
    last: Instant,
}

/// When a group is to be synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Before anything more is written.
    Now,
    /// At once, unless the one before it is being synced.
    Soon,
    /// When there is more of it.
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
            // The action has ended; what it gave is synced with it.
            () if is_result && waiting.last.elapsed() >= INTERVAL => Due::Soon,
            () => Due::Later,
        }
    }

    /// Tells whether no more files are to be added before a sync.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting().is_full()
    }

    /// The right to sync; waits for whoever has it.
    pub(crate) fn turn(&self) -> MutexGuard<'_, ()> {
        self.syncing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The right to sync, if nobody has it.
    pub(crate) fn free_turn(&self) -> Option<MutexGuard<'_, ()>> {
        self.syncing.try_lock().ok()
    }

    /// Takes the files out.
    pub(crate) fn take(&self) -> Vec<Written> {
        let mut waiting = self.waiting();
        waiting.n_bytes = 0;
        std::mem::take(&mut waiting.files)
    }

    /// Takes note of the end of a sync.
    pub(crate) fn synced(&self) {
        self.waiting().last = Instant::now();
    }

    // Each change is whole before the lock is given up.
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
    fn a_group_is_due_when_it_is_full_or_an_action_ended_a_while_after_the_last() {
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
