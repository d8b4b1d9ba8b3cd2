//! Makes blobs and results durable in groups, and says what may be believed after a loss of power.
//!
//! A blob is renamed into place as soon as it is written, so this process and others on the machine can use it at once:
//! they read the same page cache. It is not durable then. A file system may have put the new name on the disk and not
//! the bytes, so after a loss of power the file may be empty, short, or full of zeros under its full digest.
//!
//! What keeps such a file from being believed is one order: *the memo of checked blobs ([`super::verified`]) notes a file
//! after the file is synced, never before.* Therefore:
//!
//! - If the memo has the file's stamp, the file's bytes were on the disk before the note was written. Nobody writes to a
//!   blob's file again, so they still are.
//! - If the memo does not have it, the blob is hashed before it is given out. A torn one goes to the quarantine and is
//!   missing, and an intact one is noted by the same order.
//! - A result is a record with a checksum; a torn one is a miss. A whole one may name blobs that are torn or gone, and is
//!   a hit only if each of them is there and believed. So results need no order among themselves or with their blobs.
//! - A process that finds a blob which the memo does not know may be looking at bytes that another process has just
//!   written, and that are in the page cache alone. So it syncs the file, too, before it notes it.
//! - No order of names is assumed. A name that is lost is a miss, and so is one that comes back.
//!
//! A process that is killed loses nothing: what it had not synced is in the page cache, and is hashed once by the next.
//!
//! A group is synced when it is full, when an action ends and the last sync was a while ago, at the end of a build, and
//! when the store is closed. What is written shortly after a sync, and followed by nothing, waits for the next one of
//! these, or for the system, which writes everything after some 30 seconds.

use std::io;
use std::path::Path;
use std::sync::MutexGuard;

use mc_digest::digest::Digest;

use crate::error::StoreError;
use crate::local::store::LocalStore;
use crate::local::sync_group::{Content, Due, Written};
use crate::stamp::FileStamp;

impl LocalStore {
    /// Makes a file durable that is in place, with others; perhaps now.
    ///
    /// # Errors
    /// As [`Self::sync_group`].
    pub(crate) fn sync_later(&self, written: Written) -> Result<(), StoreError> {
        match self.group.add(written) {
            Due::Later => Ok(()),
            Due::Soon => self.group.free_turn().map_or(Ok(()), |turn| self.sync_in(turn)),
            Due::Now => {
                let turn = self.group.turn();
                // Somebody else may have had the turn first, and synced it.
                if self.group.is_full() { self.sync_in(turn) } else { Ok(()) }
            }
        }
    }

    /// Makes everything durable that was written so far.
    ///
    /// # Errors
    /// The first failure. A blob that cannot be made durable is removed, and is missing from then on.
    pub(crate) fn sync_group(&self) -> Result<(), StoreError> {
        self.sync_in(self.group.turn())
    }

    fn sync_in(&self, _turn: MutexGuard<'_, ()>) -> Result<(), StoreError> {
        let mut group = self.group.take();
        let is_found = |written: &Written| matches!(written.content, Content::Found(..));
        if group.iter().any(is_found) && !self.verified.is_writable() {
            // They are only synced to be noted.
            group.retain(|written| !is_found(written));
        }
        if group.is_empty() {
            return Ok(());
        }
        let files: Vec<_> = group.iter().map(|written| &written.file).collect();
        let results = self.layout.folder().sync(&files);
        let (mut durable, mut failure) = (Vec::new(), None);
        for (written, result) in group.into_iter().zip(results) {
            match (result, written.content) {
                (Ok(()), Content::Blob(hash, stamp) | Content::Found(hash, stamp)) => {
                    durable.push((hash, stamp));
                }
                (Ok(()), Content::Result) => {}
                (Err(_), Content::Found(hash, _)) => self.verified.forget(&hash),
                (Err(error), _) => drop(failure.get_or_insert(self.not_durable(&written, error))),
            }
        }
        self.verified.note(&durable);
        self.group.synced();
        failure.map_or(Ok(()), Err)
    }

    /// Takes back a file that cannot be made durable: what can be read of it now may not be what is on the disk.
    fn not_durable(&self, written: &Written, error: io::Error) -> StoreError {
        if let Content::Blob(hash, stamp) = written.content {
            self.remove_blob(&hash, &stamp, &written.path);
        }
        StoreError::io_needing("write", &self.layout.at(&written.path), written.n_bytes, error)
    }

    fn remove_blob(&self, hash: &Digest, stamp: &FileStamp, path: &Path) {
        self.verified.forget(hash);
        let folder = self.layout.folder();
        if folder.status_of(path).is_ok_and(|named| FileStamp::from(named) == *stamp) {
            // If it stays, it is hashed before it is believed.
            drop(folder.remove_file(path));
        }
    }
}

impl Drop for LocalStore {
    fn drop(&mut self) {
        // Nobody can act on a failure any more, and whatever it concerns is not believed.
        drop(self.sync_group());
    }
}
