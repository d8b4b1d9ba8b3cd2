//! What was made here on its way to the server: blobs that are missing there, and the result last, so that it never
//! promises what is not there.
//!
//! Blobs and inputs are hashed once more before they are sent. Not every server compares what it gets with its name, and
//! a worker runs on what lies there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use mc_digest::digest::{BlobDigest, Digest};
use mc_digest::hasher::Hasher;
use mc_ir::action::Piece;
use mc_ir::output::{Output, Outputs};
use mc_ir::reapi;
use mc_store::traits::BlobStore;

use crate::error::RemoteError;
use crate::function::DigestFunction;
use crate::remote::{Made, Remote, renamed};
use crate::session::breaker::Breaker;
use crate::session::in_flight::{Flight, Moment};
use crate::session::naming::damaged;
use crate::session::parallel::in_parallel;
use crate::signing::NOTE;

/// Streams at a time, for one result; several results are sent at a time, too.
const N_STREAMS: usize = 3;
/// Blobs that are hashed at a time, to learn what the server calls them.
const N_NAMED: usize = 4;
/// Questions at a time, where a server is asked about one blob after the other.
const N_QUESTIONS: usize = 8;
/// Bytes that are hashed before their memory is given back.
const PIECE: usize = 2 << 20;
/// Bytes that are held in memory to be sent together.
const GROUP_BYTES: u64 = 1 << 20;

/// Where the bytes of a blob are.
pub(crate) enum Bytes<'a> {
    Message(&'a [u8]),
    Owned(Vec<u8>),
    /// Of a file that holds itself.
    Piece(Piece),
    /// Of an input with this digest.
    Input(BlobDigest, Piece),
    Blob(BlobDigest),
}

impl Remote {
    /// Sends what an action gave.
    ///
    /// # Errors
    /// When the server fails.
    pub fn upload(
        &self,
        store: &dyn BlobStore,
        made: &Made<'_>,
        outputs: &Outputs,
    ) -> Result<(), RemoteError> {
        if self.recording.is_open() {
            return Err(RemoteError::Off);
        }
        let function = self.sending.ask(|| self.function())?;
        let action = self.encoded(function, store, made)?;
        let (mut theirs, mut hashes) = (Outputs::new(), BTreeMap::<BlobDigest, Digest>::new());
        let mut bytes = BTreeMap::new();
        let all: Vec<BlobDigest> = outputs.values().flat_map(Output::parts).copied().collect();
        let mut names =
            in_parallel(&all, N_NAMED, |part| self.theirs(function, store, part, &|| None))?.into_iter();
        for (name, output) in outputs {
            let parts: Vec<BlobDigest> = names.by_ref().take(output.parts().len()).collect();
            for (part, &blob) in output.parts().iter().zip(&parts) {
                hashes.insert(blob, part.hash);
                bytes.insert(blob, Bytes::Blob(*part));
            }
            theirs.insert(name.clone(), renamed(output, parts));
        }
        let beside = |blob: &BlobDigest| match function {
            DigestFunction::Blake3 => None,
            DigestFunction::Sha256 => hashes.get(blob).copied(),
        };
        let (mut result, trees) =
            reapi::encode_result_with(&|bytes| function.digest(bytes), &theirs, &beside);
        for message in trees.iter().chain([&action.command, &action.action]) {
            bytes.insert(function.digest(message), Bytes::Message(message));
        }
        let named: Vec<BlobDigest> = bytes.keys().copied().collect();
        self.send(store, &bytes)?;
        let key = BlobDigest::new(action.digest.hash, action.digest.n_bytes);
        if let Some(signer) = &self.signatures.signer {
            let signature = signer.sign(&key, &result);
            reapi::annotate(&mut result, NOTE, &signature);
        }
        self.recording.ask(|| self.transport.put_result(&key, &result, &named))
    }

    /// Tells whether the server has no result for an action that clients with our settings would take, and all blobs of
    /// the action's outputs are here to be sent. A blob that is not here any more is on the server: it was promised.
    ///
    /// # Errors
    /// When the server fails.
    pub fn lacks(
        &self,
        store: &dyn BlobStore,
        made: &Made<'_>,
        outputs: &Outputs,
    ) -> Result<bool, RemoteError> {
        let key = self.key(store, made)?;
        if self.recording.is_open() {
            return Err(RemoteError::Off);
        }
        if let Some(entry) = self.sending.ask_shortly(|| self.transport.result(&key))?
            && self.counts(self.sending.ask(|| self.function())?, &key, &entry)?
        {
            return Ok(false);
        }
        for blob in outputs.values().flat_map(Output::parts) {
            if !store.contains(blob)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Sends those blobs that are missing.
    fn send(
        &self,
        store: &dyn BlobStore,
        blobs: &BTreeMap<BlobDigest, Bytes<'_>>,
    ) -> Result<(), RemoteError> {
        let missing = self.missing(blobs.keys().copied().collect())?;
        self.send_missing(store, blobs, missing)
    }

    /// Sends some of the blobs, but for those that another step sends meanwhile.
    pub(crate) fn send_missing(
        &self,
        store: &dyn BlobStore,
        blobs: &BTreeMap<BlobDigest, Bytes<'_>>,
        missing: Missing,
    ) -> Result<(), RemoteError> {
        let largest = self.sending.ask(|| self.transport.largest_in_batch())?;
        let Missing { blobs: missing, since } = missing;
        let (small, large): (Vec<BlobDigest>, Vec<BlobDigest>) =
            missing.into_iter().partition(|blob| blob.n_bytes <= largest);
        let open = |blob: &BlobDigest| match &blobs[blob] {
            Bytes::Message(message) => Ok(Opened::Message(message)),
            Bytes::Owned(message) => Ok(Opened::Message(message)),
            Bytes::Piece(piece) => Ok(Opened::Message(piece.as_slice())),
            Bytes::Input(ours, piece) => {
                let opened = Opened::Message(piece.as_slice());
                if opened.digest() != *ours {
                    return Err(RemoteError::Local(format!("An input changed while it was read: {ours}")));
                }
                Ok(opened)
            }
            Bytes::Blob(ours) => {
                let opened = store.open(ours)?.map(Opened::Blob);
                let opened = opened.ok_or_else(|| RemoteError::Local(format!("Blob {ours} is gone")))?;
                if opened.digest() != *ours {
                    return Err(damaged(store, ours)?);
                }
                Ok(opened)
            }
        };
        for group in groups(small) {
            let flight = self.going.take(group, since);
            if flight.blobs().is_empty() {
                continue;
            }
            let opened = flight.blobs().iter().map(open).collect::<Result<Vec<_>, _>>()?;
            let group: Vec<(BlobDigest, &[u8])> =
                flight.blobs().iter().copied().zip(opened.iter().map(Opened::as_slice)).collect();
            self.sending.ask(|| self.transport.write_batch(&group))?;
            self.sent(flight);
        }
        in_parallel(&large, N_STREAMS, |blob| {
            let flight = self.going.take(vec![*blob], since);
            if flight.blobs().is_empty() {
                return Ok(());
            }
            let opened = open(blob)?;
            self.sending.ask(|| {
                self.transport.write_telling(blob, opened.as_slice(), &|n_bytes| opened.release(n_bytes))
            })?;
            self.sent(flight);
            Ok::<_, RemoteError>(())
        })?;
        Ok(())
    }

    fn sent(&self, flight: Flight<'_>) {
        let n_bytes = flight.blobs().iter().map(|blob| blob.n_bytes).sum();
        self.n_bytes_up.fetch_add(n_bytes, Ordering::Relaxed);
        flight.arrived();
    }

    /// Those blobs that have to be sent.
    pub(crate) fn missing(&self, blobs: BTreeSet<BlobDigest>) -> Result<Missing, RemoteError> {
        let since = self.going.moment();
        // The empty blob is everywhere.
        let asked: Vec<BlobDigest> = blobs.into_iter().filter(|blob| blob.n_bytes > 0).collect();
        let mut missing = self.absent(&self.sending, &asked)?;
        let state = self.state();
        missing.extend(asked.iter().filter(|blob| state.wrong.contains(blob)));
        Ok(Missing { blobs: missing, since })
    }

    /// Blobs that the server says just now that it lacks.
    pub(crate) fn missed(&self, blobs: BTreeSet<BlobDigest>) -> Missing {
        Missing { blobs, since: self.going.moment() }
    }
}

/// Blobs that were not on the server at a moment.
pub(crate) struct Missing {
    pub(crate) blobs: BTreeSet<BlobDigest>,
    since: Moment,
}

/// Blobs in groups that are held in memory together.
fn groups(blobs: Vec<BlobDigest>) -> Vec<Vec<BlobDigest>> {
    let mut groups: Vec<Vec<BlobDigest>> = Vec::new();
    let mut n_bytes = GROUP_BYTES;
    for blob in blobs {
        n_bytes += blob.n_bytes;
        match groups.last_mut() {
            Some(group) if n_bytes <= GROUP_BYTES => group.push(blob),
            _ => {
                groups.push(vec![blob]);
                n_bytes = blob.n_bytes;
            }
        }
    }
    groups
}

impl Remote {
    /// Those blobs that the server has not.
    ///
    /// * `asked`: in order
    pub(crate) fn absent(
        &self,
        breaker: &Breaker,
        asked: &[BlobDigest],
    ) -> Result<BTreeSet<BlobDigest>, RemoteError> {
        let per_question =
            if breaker.ask(|| self.transport.largest_in_batch())? == 0 { 1 } else { asked.len() };
        let questions: Vec<&[BlobDigest]> = asked.chunks(per_question.max(1)).collect();
        let absent = in_parallel(&questions, N_QUESTIONS, |some| {
            breaker.ask_shortly(|| self.transport.missing(some))
        })?;
        let mut absent: BTreeSet<BlobDigest> = absent.into_iter().flatten().collect();
        // A server may name what it was not asked for.
        absent.retain(|blob| asked.binary_search(blob).is_ok());
        Ok(absent)
    }
}

/// The bytes of a blob.
enum Opened<'a> {
    Message(&'a [u8]),
    Blob(mc_store::mapping::MappedFile),
}

impl Opened<'_> {
    /// The digest of the bytes; no more than a piece of a blob stays in memory.
    fn digest(&self) -> BlobDigest {
        let mut hasher = Hasher::new();
        for piece in self.as_slice().chunks(PIECE) {
            hasher.update(piece);
            self.release(hasher.n_bytes() as usize);
        }
        hasher.finish()
    }

    /// Lets go of the memory of the first so many bytes.
    fn release(&self, n_bytes: usize) {
        if let Self::Blob(blob) = self {
            blob.release(n_bytes);
        }
    }

    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Message(message) => message,
            Self::Blob(blob) => blob,
        }
    }
}
