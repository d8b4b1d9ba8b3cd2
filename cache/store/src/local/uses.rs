//! Notes which blobs this process uses, so that a collection in another process keeps them.
//!
//! A process notes the hash of a blob in a file of its session *before* it looks for the blob. A collection moves the
//! blobs that seem unused out of the way, and reads the notes of all living sessions *after* that. So for each blob and
//! each process one of these cases applies:
//!
//! - The process looked before the move. Then its note was there when the collection read the notes, and the collection
//!   moves the blob back.
//! - The process looked after the move. Then it did not find the blob in its place, and looks in the folder of the
//!   collection: either it moves the blob back, or the blob is missing, which is a miss like any other.
//!
//! So once a process has found a blob, the blob stays until the process ends. The system then releases the lock of its
//! session, even after a crash, and the notes no longer count. No process waits for another.

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
    /// Notes that this process uses a blob from now on. Must be called before the process looks for the blob.
    pub(crate) fn note_use(&self, hash: &Digest) {
        self.uses.note(hash, &self.session);
    }

    /// Runs an operation on a blob's file. If the file is missing, moves it back from a collection and runs the
    /// operation again.
    pub(crate) fn or_recovered<T>(&self, hash: &Digest, act: impl Fn() -> io::Result<T>) -> io::Result<T> {
        match act() {
            // The collection may move it back at the same time.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                drop(self.put_back(hash));
                act()
            }
            done => done,
        }
    }

    /// Moves a blob back from the folder of a collection. Its bytes are unchanged, but the move changes a time of the
    /// file, so its entry among the verified blobs becomes invalid and it is hashed once.
    ///
    /// # Errors
    /// If it is missing, or cannot be moved.
    pub(crate) fn put_back(&self, hash: &Digest) -> io::Result<()> {
        let (folder, path) = (self.layout.folder(), self.layout.blob(hash));
        let evicted = self.layout.evicted_blob(hash);
        match folder.rename_new(&evicted, folder, &path) {
            // Another process has stored it again meanwhile.
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
        // An incomplete note belongs to a blob that its process has not looked for yet.
        let hashes = notes.iter().flat_map(|notes| notes.as_chunks::<NOTE>().0);
        Ok(hashes.map(|hash| Digest::from_bytes(*hash)).collect())
    }
}
