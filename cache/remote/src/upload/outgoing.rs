//! Uploads of missing blobs: small ones in batches, each blob once for all callers.

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

/// Parallel streams per result; several results are uploaded in parallel, too.
const N_STREAMS: usize = 3;
/// Bytes per batch, which are held in memory.
const GROUP_BYTES: u64 = 1 << 20;

/// Uploads of blobs.
pub(crate) struct Outgoing {
    session: Arc<Session>,
    sending: Breaker,
    going: InFlight,
    n_bytes: AtomicU64,
}

/// Blobs that the server lacked at some moment.
pub(crate) struct Missing {
    pub(crate) blobs: BTreeSet<BlobDigest>,
    since: Moment,
}

impl Outgoing {
    pub(crate) fn new(session: Arc<Session>) -> Self {
        Self { session, sending: Breaker::default(), going: InFlight::default(), n_bytes: AtomicU64::new(0) }
    }

    /// Number of bytes uploaded so far.
    pub(crate) fn n_bytes(&self) -> u64 {
        self.n_bytes.load(Ordering::Relaxed)
    }

    /// The failure that stopped the upload of blobs.
    pub(crate) fn failure(&self) -> Option<String> {
        self.sending.reason()
    }

    /// The server's digest function, before an upload.
    ///
    /// # Errors
    /// Fails if the server fails, or an earlier upload failed.
    pub(crate) fn function(&self) -> Result<DigestFunction, RemoteError> {
        self.sending.ask(|| self.session.function())
    }

    /// The server's current result under a key, before an upload.
    ///
    /// # Errors
    /// Fails if the server fails, or an earlier upload failed.
    pub(crate) fn result(&self, key: &BlobDigest) -> Result<Option<Vec<u8>>, RemoteError> {
        self.sending.ask_shortly(|| self.session.transport.result(key))
    }

    /// Selects the blobs that have to be uploaded.
    ///
    /// # Errors
    /// Fails if the server fails.
    pub(crate) fn missing(&self, blobs: BTreeSet<BlobDigest>) -> Result<Missing, RemoteError> {
        let since = self.going.moment();
        // Every server has the empty blob.
        let asked: Vec<BlobDigest> = blobs.into_iter().filter(|blob| blob.n_bytes > 0).collect();
        let mut missing = self.session.absent(&self.sending, &asked)?;
        missing.extend(self.session.findings.wrong_among(&asked));
        Ok(Missing { blobs: missing, since })
    }

    /// Wraps blobs that the server just reported as missing.
    pub(crate) fn missed(&self, blobs: BTreeSet<BlobDigest>) -> Missing {
        Missing { blobs, since: self.going.moment() }
    }

    /// Uploads the missing blobs, except those that another action uploads meanwhile.
    ///
    /// # Errors
    /// Fails if the server rejects one, or a blob's bytes are no longer available.
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

/// Groups blobs into batches by size in memory.
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
