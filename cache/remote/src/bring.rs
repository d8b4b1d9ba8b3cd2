//! Blobs on their way here: small ones together, large ones side by side, each checked before it is believed.
//!
//! A blob is checked against the one thing that names it here: its BLAKE3 where the result says it, which the store
//! computes anyway and is several times faster, and the server's digest where it does not. A result that says two
//! digests of different blobs could as well name the wrong blob: who may write results is trusted to that extent, and
//! signatures say who that is.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mc_digest::digest::BlobDigest;
use mc_ir::reapi_result::MAX_TREE_BYTES;
use mc_store::traits::BlobStore;

use crate::error::RemoteError;
use crate::function::{DigestFunction, Hashing};
use crate::parallel::in_parallel;
use crate::remote::{Fetching, Remote};

/// How often a stream that brought hardly anything is opened again.
const MAX_RETRIES: u32 = 3;
/// Fewer bytes than this are hardly anything.
const PROGRESS: u64 = 64 << 10;
/// How often in all: a server that gives a byte at a time is as good as none.
const MAX_OPENED: u32 = 50;
/// So many blobs are asked for in vain before the server is given up: one that was cleared has nothing of use, and one
/// that makes results up could go on for ever.
const MAX_VAIN: usize = 1000;
/// And for so long in all.
const MAX_VAIN_TIME: Duration = Duration::from_secs(600);
/// Streams at a time: while one waits until the disk has its blob, others bring theirs.
const N_STREAMS: usize = 5;
/// Bytes that are asked for together, so that several such groups travel side by side.
const GROUP_BYTES: u64 = 1 << 20;
/// What a blob of a group costs besides its bytes.
const PER_BLOB: u64 = 128;

/// What is checked of a stream here.
#[derive(Clone, Copy)]
enum Check {
    /// Its bytes.
    Digest(DigestFunction),
    /// How many bytes there are; whoever takes them checks them.
    Length,
}

/// What is fetched with one request or one stream.
enum Errand {
    Group(Vec<BlobDigest>),
    Stream(BlobDigest),
}

impl Errand {
    fn blobs(&self) -> Vec<BlobDigest> {
        match self {
            Self::Group(blobs) => blobs.clone(),
            Self::Stream(blob) => vec![*blob],
        }
    }
}

impl Remote {
    /// Brings blobs that the server promised, all that are not here.
    ///
    /// # Errors
    /// When the server fails, or the store cannot be written. What the server has not any more, or sends wrongly, is
    /// counted in [`Self::n_lost`].
    pub fn bring(&self, store: &dyn BlobStore, ours: &[BlobDigest]) -> Result<(), RemoteError> {
        let mut absent = BTreeSet::new();
        for blob in ours {
            if self.promise_in(None, blob).is_some() && !store.contains(blob)? {
                absent.insert(*blob);
            }
        }
        if absent.is_empty() {
            return Ok(());
        }
        let brought = self.reading.ask(|| self.function()).and_then(|function| {
            let named = absent.iter().filter_map(|ours| {
                let theirs = self.notes.promised.theirs(function, ours)?;
                Some((theirs, Some(*ours)))
            });
            let fetched = self.fetch(function, store, &named.collect())?;
            Ok(fetched.into_values().collect::<BTreeSet<_>>())
        });
        if let Err(RemoteError::Store(error)) = brought {
            return Err(error.into());
        }
        let nothing = BTreeSet::new();
        // Also those that it promised in a digest function that it has no more.
        let lost: Vec<&BlobDigest> = absent.difference(brought.as_ref().unwrap_or(&nothing)).collect();
        self.n_lost.fetch_add(lost.len(), Ordering::Relaxed);
        let function = self.known_function();
        let named = lost.iter().filter_map(|ours| self.promise_in(function, ours));
        if brought.is_ok() {
            self.are_gone(named.collect::<Vec<_>>());
        } else {
            self.state().wrong.extend(named);
        }
        brought.map(drop)
    }

    /// Whether a blob was promised, and nothing is known that speaks against it. A server that cannot be asked just now
    /// does not: most of what it promised is never read. Where everything is to be here, no promise is as good.
    pub fn promises(&self, ours: &BlobDigest) -> bool {
        if self.fetching == Fetching::AtOnce {
            return false;
        }
        let Some(theirs) = self.promise_in(self.known_function(), ours) else { return false };
        let mut state = self.state();
        if state.is_given_up || state.wrong.contains(&theirs) {
            return false;
        }
        state.believed.insert(*ours);
        drop(state);
        self.are_there(BTreeSet::from([theirs])).unwrap_or(false)
    }

    /// What the server calls a blob that it promised, in a digest function or in either.
    pub(crate) fn promise_in(
        &self,
        function: Option<DigestFunction>,
        ours: &BlobDigest,
    ) -> Option<BlobDigest> {
        let theirs = |function| self.notes.promised.theirs(function, ours);
        match function {
            Some(function) => theirs(function),
            None => theirs(DigestFunction::Blake3).or_else(|| theirs(DigestFunction::Sha256)),
        }
    }

    /// Blobs of the server as ones of the store; those that are not there, or are not what they should be, are left
    /// out.
    ///
    /// * `wanted`: by the server's names, and with ours where they are known
    pub(crate) fn fetch(
        &self,
        function: DigestFunction,
        store: &dyn BlobStore,
        wanted: &BTreeMap<BlobDigest, Option<BlobDigest>>,
    ) -> Result<BTreeMap<BlobDigest, BlobDigest>, RemoteError> {
        if wanted.is_empty() {
            return Ok(BTreeMap::new());
        }
        let since = self.coming.moment();
        let largest = self.reading.ask(|| self.transport.largest_in_batch())?;
        let errands = errands(wanted.keys().copied(), largest);
        let fetched = in_parallel(&errands, N_STREAMS, |errand| {
            let flight = self.coming.take(errand.blobs(), since);
            // Not before: whoever moves a blob that others wait for must not wait for them.
            let _permit = self.streams.take();
            let mut fetched = match errand {
                Errand::Group(_) => self.fetch_group(function, store, flight.blobs(), wanted)?,
                Errand::Stream(_) => self.fetch_each(function, store, flight.blobs(), wanted)?,
            };
            // What another step fetched meanwhile is here, unless that failed after all.
            let moved: BTreeSet<&BlobDigest> = flight.blobs().iter().collect();
            let mut absent = Vec::new();
            for theirs in errand.blobs().into_iter().filter(|theirs| !moved.contains(theirs)) {
                match wanted[&theirs].or_else(|| self.known_here(function, &theirs)) {
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

    /// Blobs as one stream each.
    fn fetch_each(
        &self,
        function: DigestFunction,
        store: &dyn BlobStore,
        blobs: &[BlobDigest],
        wanted: &BTreeMap<BlobDigest, Option<BlobDigest>>,
    ) -> Result<Vec<(BlobDigest, BlobDigest)>, RemoteError> {
        let fetched = blobs.iter().map(|blob| self.fetch_one(function, store, blob, wanted[blob]));
        Ok(fetched.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    fn fetch_group(
        &self,
        function: DigestFunction,
        store: &dyn BlobStore,
        blobs: &[BlobDigest],
        wanted: &BTreeMap<BlobDigest, Option<BlobDigest>>,
    ) -> Result<Vec<(BlobDigest, BlobDigest)>, RemoteError> {
        let mut open: BTreeSet<BlobDigest> = blobs.iter().copied().collect();
        let mut fetched = Vec::new();
        for (theirs, bytes) in self.reading.ask(|| self.transport.read_batch(blobs))? {
            self.n_bytes_down.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            // A server may send what it was not asked for.
            if !open.remove(&theirs) {
                continue;
            }
            let (expected, found) = match wanted[&theirs] {
                Some(ours) => (ours, BlobDigest::of(&bytes)),
                None => (theirs, function.digest(&bytes)),
            };
            if found != expected {
                self.disbelieve(&theirs, format!("blob {expected}"), format!("blob {found}"));
                continue;
            }
            let ours = store.put_bytes(&bytes)?;
            if wanted[&theirs].is_none() {
                self.note(function, ours, theirs);
            }
            fetched.push((theirs, ours));
        }
        // A server may answer for fewer than it was asked.
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
        if self.is_given_up() {
            return Ok(None);
        }
        let began = Instant::now();
        let chunks = self.chunks_of(theirs)?.unwrap_or_default();
        let joined = self.join(function, store, theirs, ours, &chunks)?;
        let fetched = match joined {
            Some(found) => Some(found),
            None => self.fetch_whole(function, store, theirs, ours)?,
        };
        let Some(found) = fetched else {
            self.in_vain(began.elapsed());
            return Ok(None);
        };
        if !chunks.is_empty() {
            self.notes.chunks.add(found, &chunks);
        }
        if ours.is_none() {
            self.note(function, found, *theirs);
        }
        Ok(Some((*theirs, found)))
    }

    /// A blob as one stream.
    fn fetch_whole(
        &self,
        function: DigestFunction,
        store: &dyn BlobStore,
        theirs: &BlobDigest,
        ours: Option<BlobDigest>,
    ) -> Result<Option<BlobDigest>, RemoteError> {
        // A server that lies about a size must not fill the disk. A blob that does not fit is made here when it is needed;
        // if the disk is full, that says so, and the server is not blamed.
        if store.room()?.is_some_and(|room| theirs.n_bytes > room) {
            self.state().wrong.insert(*theirs);
            return Ok(None);
        }
        let mut writer = store.writer()?;
        let check = if ours.is_some() { Check::Length } else { Check::Digest(function) };
        match self.stream(check, theirs, &mut |bytes| writer.write_all(bytes)) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(RemoteError::Lie { expected, found, .. }) => {
                self.disbelieve(theirs, expected, found);
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
        let found = writer.finish()?;
        match ours {
            Some(ours) if ours != found => {
                self.disbelieve(theirs, format!("blob {ours}"), format!("blob {found}"));
                Ok(None)
            }
            _ => Ok(Some(found)),
        }
    }

    /// Takes note of a blob that was asked for in vain.
    fn in_vain(&self, elapsed: Duration) {
        let mut state = self.state();
        let (n_blobs, all) = (state.vain.0 + 1, state.vain.1.saturating_add(elapsed));
        state.vain = (n_blobs, all);
        state.is_given_up |= n_blobs >= MAX_VAIN || all > MAX_VAIN_TIME;
    }

    fn note(&self, function: DigestFunction, ours: BlobDigest, theirs: BlobDigest) {
        if function == DigestFunction::Sha256 {
            self.notes.known.add(ours, theirs);
        }
    }

    fn disbelieve(&self, theirs: &BlobDigest, expected: String, found: String) {
        let lie = RemoteError::Lie { server: self.name(), expected, found }.to_string();
        let mut state = self.state();
        state.wrong.insert(*theirs);
        state.lie.get_or_insert(lie);
    }

    /// A whole blob in memory; `None` when it is not there.
    pub(crate) fn whole(
        &self,
        function: DigestFunction,
        theirs: &BlobDigest,
    ) -> Result<Option<Vec<u8>>, RemoteError> {
        let mut bytes = Vec::new();
        let is_there = self.stream(Check::Digest(function), theirs, &mut |more| {
            bytes.extend_from_slice(more);
            Ok(())
        })?;
        Ok(is_there.then_some(bytes))
    }

    /// A whole blob in memory; `None` when it is not there, or wrong.
    pub(crate) fn small(
        &self,
        function: DigestFunction,
        theirs: &BlobDigest,
    ) -> Result<Option<Vec<u8>>, RemoteError> {
        if theirs.n_bytes > MAX_TREE_BYTES {
            return Ok(None);
        }
        match self.whole(function, theirs) {
            Err(RemoteError::Lie { expected, found, .. }) => {
                self.disbelieve(theirs, expected, found);
                Ok(None)
            }
            answer => answer,
        }
    }

    /// Gives the bytes of a blob to `take`, as many as there should be, and checks them; what `take` did with them is
    /// void after an error. A stream that breaks is opened again where it broke. `false` when the blob is not there.
    fn stream(
        &self,
        check: Check,
        theirs: &BlobDigest,
        take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<bool, RemoteError> {
        let lie = |found: String| {
            Err(RemoteError::Lie { server: self.name(), expected: format!("blob {theirs}"), found })
        };
        let mut hashing = match check {
            Check::Digest(function) => Some(Hashing::new(function)),
            Check::Length => None,
        };
        let mut buffer = vec![0; 1 << 18];
        let (mut n_bytes, mut n_vain, mut n_opened, mut reason) = (0, 0, 0, String::new());
        while n_bytes < theirs.n_bytes {
            n_opened += 1;
            if n_vain > MAX_RETRIES || n_opened > MAX_OPENED {
                return lie(format!("{n_bytes} bytes{reason}"));
            }
            let before = n_bytes;
            let Some(mut reader) = self.reading.ask(|| self.transport.read(theirs, n_bytes))? else {
                return Ok(false);
            };
            loop {
                let n_read = match reader.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(n_read) => n_read,
                    Err(error) => {
                        reason = format!(" ({error})");
                        break;
                    }
                };
                self.n_bytes_down.fetch_add(n_read as u64, Ordering::Relaxed);
                n_bytes += n_read as u64;
                if n_bytes > theirs.n_bytes {
                    return lie("more bytes".to_owned());
                }
                if let Some(hashing) = &mut hashing {
                    hashing.update(&buffer[..n_read]);
                }
                take(&buffer[..n_read]).map_err(RemoteError::of_writer)?;
            }
            n_vain = if n_bytes < before + PROGRESS { n_vain + 1 } else { 0 };
        }
        match hashing.map(Hashing::finish) {
            Some(found) if found != *theirs => lie(format!("blob {found}")),
            _ => Ok(true),
        }
    }
}

/// What is to be fetched, the large ones first, because they take longest.
fn errands(blobs: impl Iterator<Item = BlobDigest>, largest_in_batch: u64) -> Vec<Errand> {
    let (small, mut large): (Vec<BlobDigest>, Vec<BlobDigest>) =
        blobs.partition(|blob| blob.n_bytes <= largest_in_batch);
    large.sort_by_key(|blob| std::cmp::Reverse(blob.n_bytes));
    let mut errands: Vec<Errand> = large.into_iter().map(Errand::Stream).collect();
    let (mut group, mut n_bytes) = (Vec::new(), 0);
    for blob in small {
        if !group.is_empty() && n_bytes + blob.n_bytes + PER_BLOB > GROUP_BYTES {
            errands.push(Errand::Group(std::mem::take(&mut group)));
            n_bytes = 0;
        }
        n_bytes += blob.n_bytes + PER_BLOB;
        group.push(blob);
    }
    if !group.is_empty() {
        errands.push(Errand::Group(group));
    }
    errands
}
