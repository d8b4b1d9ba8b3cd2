//! Notes which blobs this process uses, so that a collection in another process keeps them.
//!
//! A process notes the hash of a blob in a file of its session *before* it looks for the blob. A collection moves the
//! blobs that nobody seems to use out of the way, and reads the notes of all living sessions *after* that. So for each
//! blob and each process one of these holds:
//!
//! - The process looked before the move. Then its note was there when the collection read the notes, and the blob is put
//!   back.
//! - The process looked after the move. Then it did not find the blob in its place, and looks where the collection put
//!   it: it takes the blob back, or the blob is gone, which is a miss like any other.
//!
//! So a blob that a process was told is here stays until the process ends, however it ends: the system then releases the
//! lock of its session, and the notes count no more. No process waits for another one.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use mc_digest::digest::Digest;

use crate::error::StoreError;
use crate::local::store::LocalStore;
use crate::publish::create_parent;
use crate::session::uses_of_living;

/// Bytes of one note.
const NOTE: usize = 32;

impl LocalStore {
    /// Notes that this process uses a blob from now on, before it looks for it.
    pub(crate) fn note_use(&self, hash: &Digest) {
        self.uses.note(hash, &self.session);
    }

    /// Does something that needs a blob's file; if the file is not there, takes it back from a collection that has moved
    /// it, and does it again.
    pub(crate) fn or_recovered<T>(&self, hash: &Digest, act: impl Fn() -> io::Result<T>) -> io::Result<T> {
        match act() {
            // The collection may put it back by itself at the same time.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                drop(self.put_back(hash));
                act()
            }
            done => done,
        }
    }

    /// Moves a blob back that a collection has moved. The bytes are those that it had, so its note among the checked
    /// blobs does not hold any more only because the move changed a time; it is hashed once.
    ///
    /// # Errors
    /// If it is not there, or cannot be moved.
    pub(crate) fn put_back(&self, hash: &Digest) -> io::Result<()> {
        let (folder, path) = (self.layout.folder(), self.layout.blob(hash));
        let evicted = self.layout.evicted_blob(hash);
        match folder.rename_new(&evicted, folder, &path) {
            // Somebody has made it anew meanwhile.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => folder.remove_file(&evicted),
            Err(error) if error.kind() == io::ErrorKind::NotFound && folder.status_of(&evicted).is_ok() => {
                create_parent(folder, &path).map_err(io::Error::from)?;
                folder.rename_new(&evicted, folder, &path)
            }
            moved => moved,
        }
    }

    /// The blobs that living processes use.
    ///
    /// # Errors
    /// If the notes of one cannot be read.
    pub(crate) fn used_blobs(&self) -> Result<BTreeSet<Digest>, StoreError> {
        let root: &Path = self.layout.unfinished();
        let notes = uses_of_living(self.layout.folder(), root)?;
        // A note that is not whole is of a blob that nobody has looked for yet.
        let hashes = notes.iter().flat_map(|notes| notes.as_chunks::<NOTE>().0);
        Ok(hashes.map(|hash| Digest::from_bytes(*hash)).collect())
    }
}
