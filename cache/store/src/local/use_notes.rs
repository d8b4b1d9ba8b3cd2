//! The notes of one process about the blobs that it uses; see [`super::uses`] for their purpose.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};

use mc_digest::digest::Digest;

use crate::session::LazySession;

/// The notes of this process.
#[derive(Debug, Default)]
pub(crate) struct UseNotes(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    hashes: BTreeSet<Digest>,
    file: Option<File>,
    /// The notes cannot be written. This is harmless: nothing can be collected in a read-only store, and on a full disk
    /// a collected blob is made again.
    has_failed: bool,
}

impl UseNotes {
    /// Adds a hash to the session's file, once.
    pub(crate) fn note(&self, hash: &Digest, session: &LazySession) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.has_failed || !noted.hashes.insert(*hash) {
            return;
        }
        if noted.file.is_none() {
            noted.file = session.get().ok().and_then(|session| session.uses().ok());
        }
        let written = noted.file.as_mut().is_some_and(|file| file.write_all(hash.as_bytes()).is_ok());
        noted.has_failed = !written;
    }
}
