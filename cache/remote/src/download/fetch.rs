//! Transfers of blobs into the store: small blobs in batches, large ones as parallel streams, each blob once for all
//! callers.
//!
//! Each blob is verified against a single digest: the BLAKE3 digest if the result states one, which the store computes
//! anyway and several times faster, or the server's digest otherwise. A result that states two digests of different
//! blobs could as well name the wrong blob: writers of results are trusted to that extent, and signatures identify
//! them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use mc_digest::digest::BlobDigest;
use mc_store::traits::BlobStore;

use crate::download::incoming::{Check, Incoming};
use crate::download::joined::{chunks_of, join};
use crate::download::permits::Permits;
use crate::error::RemoteError;
use crate::function::DigestFunction;
use crate::session::Session;
use crate::session::in_flight::InFlight;
use crate::session::parallel::in_parallel;

/// Parallel streams per call: while one waits for the disk, the others transfer.
const N_STREAMS: usize = 5;
/// Parallel batches and streams in total; each holds a few megabytes.
const N_STREAMS_IN_ALL: usize = 16;
/// Bytes per batch, so that several batches travel in parallel.
const GROUP_BYTES: u64 = 1 << 20;
/// Estimated overhead in bytes per blob of a batch.
const PER_BLOB: u64 = 128;

/// Blobs by their server digests, with their BLAKE3 digests if known.
pub(crate) type Wanted = BTreeMap<BlobDigest, Option<BlobDigest>>;

/// Fetches blobs for many threads.
pub(crate) struct Fetcher {
    pub(crate) incoming: Incoming,
    coming: InFlight,
    streams: Permits,
}

/// Blobs fetched by one request or one stream.
enum BlobRequest {
    Group(Vec<BlobDigest>),
    Stream(BlobDigest),
}

impl BlobRequest {
    fn blobs(&self) -> Vec<BlobDigest> {
        match self {
            Self::Group(blobs) => blobs.clone(),
            Self::Stream(blob) => vec![*blob],
        }
    }
}

impl Fetcher {
    pub(crate) fn new(session: Arc<Session>) -> Self {
        Self {
            incoming: Incoming::new(session),
            coming: InFlight::default(),
            streams: Permits::new(N_STREAMS_IN_ALL),
        }
    }

    /// Fetches blobs of the server, and returns those now in the store. Leaves out missing and corrupt ones.
    ///
    /// # Errors
    /// Fails if the server fails, or the store cannot be written.
    pub(crate) fn fetch(
        &self,
        function: DigestFunction,
        store: &dyn BlobStore,
        wanted: &Wanted,
    ) -> Result<BTreeMap<BlobDigest, BlobDigest>, RemoteError> {
        if wanted.is_empty() {
            return Ok(BTreeMap::new());
        }
        let notes = &self.incoming.session.notes;
        let since = self.coming.moment();
        let largest = self.incoming.largest_in_batch()?;
        let blob_requests = blob_requests(wanted.keys().copied(), largest);
        let fetched = in_parallel(&blob_requests, N_STREAMS, |blob_request| {
            let flight = self.coming.take(blob_request.blobs(), since);
            // Taken only now: a thread that transfers blobs for others must not wait for their permits.
            let _permit = self.streams.take();
            let mut fetched = match blob_request {
                BlobRequest::Group(_) => self.fetch_group(function, store, flight.blobs(), wanted)?,
                BlobRequest::Stream(_) => self.fetch_each(function, store, flight.blobs(), wanted)?,
            };
            // Blobs that another action fetched meanwhile are in the store, unless that transfer failed.
            let moved: BTreeSet<&BlobDigest> = flight.blobs().iter().collect();
            let mut absent = Vec::new();
            for theirs in blob_request.blobs().into_iter().filter(|theirs| !moved.contains(theirs)) {
                match wanted[&theirs].or_else(|| notes.here(function, &theirs)) {
                    Some(ours) if store.contains(&ours)? => fetched.push((theirs, ours)),
                    _ => absent.push(theirs),
                }
            }
            flight.arrived();
            fetched.extend(self.fetch_each(function, store, &absent, wanted)?);
            Ok::<_, RemoteError>(fetched)
        })?;
        Ok(fetched.into_iter().flatten().collect())
    }

    /// Fetches one stream per blob.
    fn fetch_each(
        &self,
        function: DigestFunction,
        store: &dyn BlobStore,
        blobs: &[BlobDigest],
        wanted: &Wanted,
    ) -> Result<Vec<(BlobDigest, BlobDigest)>, RemoteError> {
        let fetched = blobs.iter().map(|blob| self.fetch_one(function, store, blob, wanted[blob]));
        Ok(fetched.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    fn fetch_group(
        &self,
        function: DigestFunction,
        store: &dyn BlobStore,
        blobs: &[BlobDigest],
        wanted: &Wanted,
    ) -> Result<Vec<(BlobDigest, BlobDigest)>, RemoteError> {
        let session = &self.incoming.session;
        let mut open: BTreeSet<BlobDigest> = blobs.iter().copied().collect();
        let mut fetched = Vec::new();
        for (theirs, bytes) in self.incoming.batch(blobs)? {
            // A server may send blobs that were not requested.
            if !open.remove(&theirs) {
                continue;
            }
            let (expected, found) = match wanted[&theirs] {
                Some(ours) => (ours, BlobDigest::of(&bytes)),
                None => (theirs, function.digest(&bytes)),
            };
            if found != expected {
                session.record_mismatch(&theirs, format!("blob {expected}"), format!("blob {found}"));
                continue;
            }
            let ours = store.put_bytes(&bytes)?;
            if wanted[&theirs].is_none() {
                session.notes.name(function, ours, theirs);
            }
            fetched.push((theirs, ours));
        }
        // A server may answer for fewer blobs than were requested.
        let open: Vec<BlobDigest> = open.into_iter().collect();
        fetched.extend(self.fetch_each(function, store, &open, wanted)?);
        Ok(fetched)
    }

    fn fetch_one(
        &self,
        function: DigestFunction,
        store: &dyn BlobStore,
        theirs: &BlobDigest,
        ours: Option<BlobDigest>,
    ) -> Result<Option<(BlobDigest, BlobDigest)>, RemoteError> {
        let session = &self.incoming.session;
        if session.findings.is_given_up() {
            return Ok(None);
        }
        let began = Instant::now();
        let chunks = chunks_of(session, theirs)?.unwrap_or_default();
        let joined = join(&self.incoming, function, store, theirs, ours, &chunks)?;
        let fetched = match joined {
            Some(found) => Some(found),
            None => self.fetch_whole(function, store, theirs, ours)?,
        };
        let Some(found) = fetched else {
            session.findings.record_unsuccessful(began.elapsed());
            return Ok(None);
        };
        if !chunks.is_empty() {
            session.notes.chunks.add(found, &chunks);
        }
        if ours.is_none() {
            session.notes.name(function, found, *theirs);
        }
        Ok(Some((*theirs, found)))
    }

    /// Fetches a blob as one stream.
    fn fetch_whole(
        &self,
        function: DigestFunction,
        store: &dyn BlobStore,
        theirs: &BlobDigest,
        ours: Option<BlobDigest>,
    ) -> Result<Option<BlobDigest>, RemoteError> {
        let session = &self.incoming.session;
        // A server that states a wrong size must not fill the disk. An oversized blob is rebuilt locally if needed; if
        // the disk really is full, the error says so and does not blame the server.
        if store.room()?.is_some_and(|room| theirs.n_bytes > room) {
            session.findings.are_wrong([*theirs]);
            return Ok(None);
        }
        let mut writer = store.writer()?;
        let check = if ours.is_some() { Check::Length } else { Check::Digest(function) };
        match self.incoming.stream(check, theirs, &mut |bytes| writer.write_all(bytes)) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(RemoteError::InvalidResponse { expected, found, .. }) => {
                session.record_mismatch(theirs, expected, found);
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
        let found = writer.finish()?;
        match ours {
            Some(ours) if ours != found => {
                session.record_mismatch(theirs, format!("blob {ours}"), format!("blob {found}"));
                Ok(None)
            }
            _ => Ok(Some(found)),
        }
    }
}

/// Groups blobs into requests, largest first, because large blobs take longest.
fn blob_requests(blobs: impl Iterator<Item = BlobDigest>, largest_in_batch: u64) -> Vec<BlobRequest> {
    let (small, mut large): (Vec<BlobDigest>, Vec<BlobDigest>) =
        blobs.partition(|blob| blob.n_bytes <= largest_in_batch);
    large.sort_by_key(|blob| std::cmp::Reverse(blob.n_bytes));
    let mut blob_requests: Vec<BlobRequest> = large.into_iter().map(BlobRequest::Stream).collect();
    let (mut group, mut n_bytes) = (Vec::new(), 0);
    for blob in small {
        if !group.is_empty() && n_bytes + blob.n_bytes + PER_BLOB > GROUP_BYTES {
            blob_requests.push(BlobRequest::Group(std::mem::take(&mut group)));
            n_bytes = 0;
        }
        n_bytes += blob.n_bytes + PER_BLOB;
        group.push(blob);
    }
    if !group.is_empty() {
        blob_requests.push(BlobRequest::Group(group));
    }
    blob_requests
}
