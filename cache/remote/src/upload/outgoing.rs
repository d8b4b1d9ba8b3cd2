//! Blobs on their way to the server: those that are missing there, small ones together, and each once, whoever sends it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mc_digest::digest::BlobDigest;
use mc_store::traits::BlobStore;

use crate::error::RemoteError;
use crate::function::DigestFunction;
use crate::session::Session;
use crate::session::breaker::Breaker;
use crate::session::in_flight::{Flight, InFlight, Moment};
use crate::session::parallel::in_parallel;
use crate::upload::bytes::{Bytes, Opened};

/// Streams at a time, for one result; several results are sent at a time, too.
const N_STREAMS: usize = 3;
/// Bytes that are held in memory to be sent together.
const GROUP_BYTES: u64 = 1 << 20;

/// Blobs on their way there.
pub(crate) struct Outgoing {
    session: Arc<Session>,
    sending: Breaker,
    going: InFlight,
    n_bytes: AtomicU64,
}

/// Blobs that were not on the server at a moment.
pub(crate) struct Missing {
    pub(crate) blobs: BTreeSet<BlobDigest>,
    since: Moment,
}

impl Outgoing {
    pub(crate) fn new(session: Arc<Session>) -> Self {
        Self { session, sending: Breaker::default(), going: InFlight::default(), n_bytes: AtomicU64::new(0) }
    }

    /// Number of bytes that went so far.
    pub(crate) fn n_bytes(&self) -> u64 {
        self.n_bytes.load(Ordering::Relaxed)
    }

    /// The reason why no blob is sent any more, if the server did not take one.
    pub(crate) fn failure(&self) -> Option<String> {
        self.sending.reason()
    }

    /// The digest function of the server, for whoever wants to send something.
    ///
    /// # Errors
    /// When the server fails, or did not take something before.
    pub(crate) fn function(&self) -> Result<DigestFunction, RemoteError> {
        self.sending.ask(|| self.session.function())
    }

    /// The result that the server has under a key, for whoever wants to send another.
    ///
    /// # Errors
    /// When the server fails, or did not take something before.
    pub(crate) fn result(&self, key: &BlobDigest) -> Result<Option<Vec<u8>>, RemoteError> {
        self.sending.ask_shortly(|| self.session.transport.result(key))
    }

    /// Those blobs that have to be sent.
    ///
    /// # Errors
    /// When the server fails.
    pub(crate) fn missing(&self, blobs: BTreeSet<BlobDigest>) -> Result<Missing, RemoteError> {
        let since = self.going.moment();
        // The empty blob is everywhere.
        let asked: Vec<BlobDigest> = blobs.into_iter().filter(|blob| blob.n_bytes > 0).collect();
        let mut missing = self.session.absent(&self.sending, &asked)?;
        missing.extend(self.session.findings.wrong_among(&asked));
        Ok(Missing { blobs: missing, since })
    }

    /// Blobs that the server says just now that it lacks.
    pub(crate) fn missed(&self, blobs: BTreeSet<BlobDigest>) -> Missing {
        Missing { blobs, since: self.going.moment() }
    }

    /// Sends those of the blobs that are missing, but for those that another step sends meanwhile.
    ///
    /// # Errors
    /// When the server does not take one, or a blob's bytes are not here any more.
    pub(crate) fn send(
        &self,
        store: &dyn BlobStore,
        blobs: &BTreeMap<BlobDigest, Bytes<'_>>,
        missing: Missing,
    ) -> Result<(), RemoteError> {
        let transport = &self.session.transport;
        let largest = self.sending.ask(|| transport.largest_in_batch())?;
        let Missing { blobs: missing, since } = missing;
        let (small, large): (Vec<BlobDigest>, Vec<BlobDigest>) =
            missing.into_iter().partition(|blob| blob.n_bytes <= largest);
        for group in groups(small) {
            let flight = self.going.take(group, since);
            if flight.blobs().is_empty() {
                continue;
            }
            let opened = flight.blobs().iter().map(|blob| blobs[blob].open(store));
            let opened = opened.collect::<Result<Vec<_>, _>>()?;
            let group: Vec<(BlobDigest, &[u8])> =
                flight.blobs().iter().copied().zip(opened.iter().map(Opened::as_slice)).collect();
            self.sending.ask(|| transport.write_batch(&group))?;
            self.sent(flight);
        }
        in_parallel(&large, N_STREAMS, |blob| {
            let flight = self.going.take(vec![*blob], since);
            if flight.blobs().is_empty() {
                return Ok(());
            }
            let opened = blobs[blob].open(store)?;
            let released = |n_bytes| opened.release(n_bytes);
            self.sending.ask(|| transport.write_with_progress(blob, opened.as_slice(), &released))?;
            self.sent(flight);
            Ok::<_, RemoteError>(())
        })?;
        Ok(())
    }

    fn sent(&self, flight: Flight<'_>) {
        let n_bytes = flight.blobs().iter().map(|blob| blob.n_bytes).sum();
        self.n_bytes.fetch_add(n_bytes, Ordering::Relaxed);
        flight.arrived();
    }
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
