//! A team's cache: what a build does with a server.
//!
//! Outside, digests are of the server's function; inside, of the store's. What they have in common is in `naming`,
//! what comes is in `bring`, what goes is in `upload`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use mc_digest::digest::{BlobDigest, Digest};
use mc_ir::action::{ActionNode, Content};
use mc_ir::output::{Output, Outputs};
use mc_ir::{reapi, reapi_result};
use mc_store::traits::BlobStore;
use mc_store::voucher::Voucher;

use crate::breaker::Breaker;
use crate::error::RemoteError;
use crate::function::DigestFunction;
use crate::in_flight::InFlight;
use crate::notes::Notes;
use crate::permits::Permits;
use crate::signing::{NOTE, Signatures, Signer};
use crate::transport::Transport;

/// Groups and streams of blobs at a time, in all.
const N_STREAMS: usize = 16;

/// Results whose trees have more bytes are taken over one at a time.
const LARGE_TREES: u64 = 1 << 20;

/// When the blobs of a result are fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fetching {
    /// With the result.
    AtOnce,
    /// When somebody reads them.
    #[default]
    WhenRead,
}

/// A team's cache.
pub struct Remote {
    pub(crate) transport: Box<dyn Transport>,
    pub(crate) notes: Notes,
    pub(crate) reading: Breaker,
    /// Apart, because a server that may only be read is of use all the same.
    pub(crate) sending: Breaker,
    /// Results apart from blobs: where workers alone may write results, they still need what they read.
    pub(crate) recording: Breaker,
    pub(crate) state: Mutex<State>,
    pub(crate) n_lost: AtomicUsize,
    pub(crate) signatures: Signatures,
    n_unsigned: AtomicUsize,
    pub(crate) coming: InFlight,
    pub(crate) going: InFlight,
    pub(crate) n_bytes_down: AtomicU64,
    pub(crate) n_bytes_up: AtomicU64,
    pub(crate) fetching: Fetching,
    /// Groups and streams of blobs that come at a time, whoever asked for them: each holds some megabytes.
    pub(crate) streams: Permits,
    /// Held by whoever takes a result over that has long lists in it.
    pub(crate) large: Mutex<()>,
    /// How its digests are made, once that was asked.
    function: OnceLock<DigestFunction>,
}

/// What turned out about blobs, by the server's names.
#[derive(Default)]
pub(crate) struct State {
    /// Those that the server sent wrongly, or had no more: a result that names one is none, and they are sent anew,
    /// whatever it says that it has.
    pub(crate) wrong: BTreeSet<BlobDigest>,
    /// What was not believed, the first time.
    pub(crate) lie: Option<String>,
    /// How many blobs were not there though a result names them.
    pub(crate) n_gone: usize,
    /// How many results were none, and why the first was.
    unreadable: Option<(usize, String)>,
    /// Our names of blobs that were promised and that are not here, as far as anybody asked for them.
    pub(crate) believed: BTreeSet<BlobDigest>,
    /// Those that it still had when it was asked after a loss.
    pub(crate) checked: BTreeSet<BlobDigest>,
    /// Whether its results and promises are worth nothing any more.
    pub(crate) is_given_up: bool,
    /// How many blobs were asked for in vain, and how long that took in all.
    pub(crate) vain: (usize, Duration),
}

/// An action as this machine knows it.
#[derive(Clone, Copy)]
pub struct Made<'a> {
    /// The action.
    pub node: &'a ActionNode,
    /// The digests of its inputs.
    pub inputs: &'a [Output],
    /// The bytes of an input that is no blob of the store, by its number.
    pub source: &'a dyn Fn(usize) -> Option<Content>,
}

impl Remote {
    /// The cache behind a transport.
    pub fn new(
        transport: Box<dyn Transport>,
        notes: Notes,
        fetching: Fetching,
        signatures: Signatures,
    ) -> Self {
        Self {
            transport,
            notes,
            reading: Breaker::default(),
            sending: Breaker::default(),
            recording: Breaker::default(),
            state: Mutex::default(),
            n_lost: AtomicUsize::new(0),
            signatures,
            n_unsigned: AtomicUsize::new(0),
            coming: InFlight::default(),
            going: InFlight::default(),
            n_bytes_down: AtomicU64::new(0),
            n_bytes_up: AtomicU64::new(0),
            fetching,
            streams: Permits::new(N_STREAMS),
            large: Mutex::default(),
            function: OnceLock::new(),
        }
    }

    /// What it is called in messages.
    pub fn name(&self) -> String {
        self.transport.name()
    }

    /// How its digests are made.
    ///
    /// # Errors
    /// When the server has to be asked, and does not answer.
    pub fn function(&self) -> Result<DigestFunction, RemoteError> {
        let function = self.transport.function()?;
        Ok(*self.function.get_or_init(|| function))
    }

    /// How its digests are made, if that was asked already.
    pub(crate) fn known_function(&self) -> Option<DigestFunction> {
        self.function.get().copied()
    }

    /// What else is to be known about it, for people.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn details(&self) -> Result<Vec<(&'static str, String)>, RemoteError> {
        self.transport.details()
    }

    /// Asks for what need not be there, to see whether it answers.
    ///
    /// # Errors
    /// When it does not, or did not before.
    pub fn check(&self) -> Result<(), RemoteError> {
        let function = self.reading.ask(|| self.function())?;
        let key = function.digest(b"");
        // Whether it is slow, those say who need an answer: this one may stand behind all that is sent.
        self.reading.ask(|| self.transport.result(&key)).map(|_| ())
    }

    /// Whether it is not asked any more.
    pub fn has_failed(&self) -> bool {
        self.reading.is_open()
    }

    /// Why it is not asked any more, if it failed.
    pub fn failure(&self) -> Option<String> {
        self.reading.reason()
    }

    /// Why nothing is sent any more, if it did not take something.
    pub fn send_failure(&self) -> Option<String> {
        self.blob_failure().or_else(|| self.recording.reason())
    }

    /// Why no blob is sent any more, if it did not take one.
    pub(crate) fn blob_failure(&self) -> Option<String> {
        self.sending.reason()
    }

    /// What it sent that was not believed, the first time.
    pub fn lie(&self) -> Option<String> {
        self.state().lie.clone()
    }

    /// How many blobs it had no more, though a result of its names them.
    pub fn n_gone(&self) -> usize {
        self.state().n_gone
    }

    /// How many results were none at all, and why the first was.
    pub fn unreadable(&self) -> Option<(usize, String)> {
        self.state().unreadable.clone()
    }

    /// How many blobs were promised and could not be had. After such a loss a build is to be tried again.
    pub fn n_lost(&self) -> usize {
        self.n_lost.load(Ordering::Relaxed)
    }

    /// How many results were left alone because nobody who is trusted signed them.
    pub fn n_unsigned(&self) -> usize {
        self.n_unsigned.load(Ordering::Relaxed)
    }

    /// Bytes of blobs that came and that went.
    pub fn traffic(&self) -> (u64, u64) {
        (self.n_bytes_down.load(Ordering::Relaxed), self.n_bytes_up.load(Ordering::Relaxed))
    }

    /// The outputs of an action, and who signed them; `None` when they are not known there, nobody who is trusted signed
    /// them, or one of their blobs is gone. Blobs are in the store, or promised. Where no signature is asked for, none is
    /// looked at, and nobody answers for the result.
    ///
    /// # Errors
    /// When the server fails, or has something under the key that is no result.
    pub fn lookup(
        &self,
        store: &dyn BlobStore,
        made: &Made<'_>,
    ) -> Result<Option<(Outputs, Option<Voucher>)>, RemoteError> {
        let function = self.reading.ask(|| self.function())?;
        let key = self.key(store, made)?;
        if self.is_given_up() {
            return Ok(None);
        }
        let Some(entry) = self.reading.ask_shortly(|| self.transport.result(&key))? else { return Ok(None) };
        let _alone = self.alone_with(&entry);
        let decoded = self.decoded(function, &entry).and_then(|decoded| self.of(made, decoded));
        let decoded = decoded.inspect_err(|error| {
            if let RemoteError::NoResult { reason, .. } = error {
                self.state().unreadable.get_or_insert_with(|| (0, reason.clone())).0 += 1;
            }
        });
        let Some((theirs, claims)) = decoded? else { return Ok(None) };
        let voucher = match &self.signatures.trusted {
            None => None,
            Some(trusted) => match signed(function, &entry, &theirs, &claims, |signature, result| {
                trusted.signer(signature, &key, result)
            }) {
                Some(voucher) => Some(voucher),
                None => {
                    self.n_unsigned.fetch_add(1, Ordering::Relaxed);
                    return Ok(None);
                }
            },
        };
        Ok(self.adopt(function, store, &theirs, &claims)?.map(|outputs| (outputs, voucher)))
    }

    /// Tells whether clients that ask for signatures as we do would take the result that the server has under a key.
    ///
    /// # Errors
    /// When the server fails.
    pub(crate) fn counts(
        &self,
        function: DigestFunction,
        key: &BlobDigest,
        entry: &[u8],
    ) -> Result<bool, RemoteError> {
        let Some(trusted) = &self.signatures.trusted else { return Ok(true) };
        let own = self.signatures.signer.as_ref().map(Signer::trusted).unwrap_or_default();
        match self.decoded(function, entry) {
            Ok(Some((theirs, claims))) => {
                Ok(signed(function, entry, &theirs, &claims, |signature, result| {
                    trusted.signer(signature, key, result).or_else(|| own.signer(signature, key, result))
                })
                .is_some())
            }
            Ok(None) | Err(RemoteError::NoResult { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The key of an action there. Naming its sources is part of that, and remembered.
    ///
    /// # Errors
    /// When the server fails, or an input cannot be read.
    pub fn key(&self, store: &dyn BlobStore, made: &Made<'_>) -> Result<BlobDigest, RemoteError> {
        let function = self.reading.ask(|| self.function())?;
        let key = self.encoded(function, store, made)?.digest;
        Ok(BlobDigest::new(key.hash, key.n_bytes))
    }

    /// A result as the server has it, with what it claims of its blobs; `None` when the tree of one of its outputs is
    /// gone or wrong.
    ///
    /// # Errors
    /// When the server fails, or sent no result.
    pub(crate) fn decoded(
        &self,
        function: DigestFunction,
        entry: &[u8],
    ) -> Result<Option<(Outputs, Claims)>, RemoteError> {
        let (mut failure, mut claims) = (None, Claims::new());
        let mut is_whole = true;
        let decoded = reapi_result::decode_result_with(
            entry,
            &mut |tree| {
                let found = self.small(function, tree).unwrap_or_else(|error| {
                    failure = Some(error);
                    None
                });
                if found.is_none() && failure.is_none() {
                    is_whole = false;
                    self.are_gone([*tree]);
                }
                found
            },
            &mut |blob, hash| {
                claims.insert(*blob, hash);
            },
        );
        match (failure, decoded) {
            (Some(error), _) => Err(error),
            (None, Ok(theirs)) => Ok(Some((theirs, claims))),
            (None, Err(_)) if !is_whole => Ok(None),
            (None, Err(error)) => {
                Err(RemoteError::NoResult { server: self.name(), reason: error.to_string() })
            }
        }
    }

    /// Waits, where a result has long lists in it, until nobody else takes such a one over: each costs a hundred
    /// megabytes or more.
    pub(crate) fn alone_with(&self, entry: &[u8]) -> Option<MutexGuard<'_, ()>> {
        let is_large = reapi_result::n_tree_bytes(entry) > LARGE_TREES;
        is_large.then(|| self.large.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A result, unless it has other outputs than the action declares: one that belongs under another key.
    ///
    /// # Errors
    /// When it has.
    fn of(
        &self,
        made: &Made<'_>,
        decoded: Option<(Outputs, Claims)>,
    ) -> Result<Option<(Outputs, Claims)>, RemoteError> {
        let mut declared = made.node.action.outputs();
        declared.sort();
        match decoded {
            Some((theirs, _)) if !theirs.keys().eq(&declared) => Err(RemoteError::NoResult {
                server: self.name(),
                reason: "it has other outputs than the action".to_owned(),
            }),
            decoded => Ok(decoded),
        }
    }

    /// Outputs of the server as ones of the store; their blobs are promised where that is possible, and else fetched.
    ///
    /// # Errors
    /// When the server fails or lies.
    pub(crate) fn adopt(
        &self,
        function: DigestFunction,
        store: &dyn BlobStore,
        theirs: &Outputs,
        claims: &Claims,
    ) -> Result<Option<Outputs>, RemoteError> {
        let mut ours = BTreeMap::new();
        let mut wanted = BTreeMap::new();
        let mut promised = BTreeMap::new();
        for blob in theirs.values().flat_map(Output::parts) {
            let claimed = self.claimed(function, blob, claims);
            if let Some(here) = claimed
                && store.contains(&here)?
            {
                ours.insert(*blob, here);
            } else if self.state().wrong.contains(blob) {
                return Ok(None);
            } else if let Some(here) = claimed
                && self.fetching == Fetching::WhenRead
            {
                promised.insert(*blob, here);
            } else {
                wanted.insert(*blob, claimed);
            }
        }
        if !self.are_there(promised.keys().copied().collect())? {
            return Ok(None);
        }
        for (blob, here) in promised {
            // What cannot be noted is no promise.
            if !self.notes.promised.add(function, here, blob) {
                return Ok(None);
            }
            self.state().believed.insert(here);
            ours.insert(blob, here);
        }
        // Whatever it is called there is remembered, since its bytes are checked against what it is called here.
        wanted.iter().for_each(|(theirs, ours)| {
            ours.iter().for_each(|ours| {
                self.notes.promised.add(function, *ours, *theirs);
            });
        });
        let fetched = self.fetch(function, store, &wanted)?;
        self.are_gone(wanted.into_keys().filter(|blob| !fetched.contains_key(blob)));
        ours.extend(fetched);
        let mut outputs = Outputs::new();
        for (name, output) in theirs {
            let parts: Option<Vec<BlobDigest>> =
                output.parts().iter().map(|part| ours.get(part).copied()).collect();
            let Some(parts) = parts else { return Ok(None) };
            outputs.insert(name.clone(), renamed(output, parts));
        }
        Ok(Some(outputs))
    }

    /// What a blob of the server would be called here.
    fn claimed(&self, function: DigestFunction, blob: &BlobDigest, claims: &Claims) -> Option<BlobDigest> {
        let claim = || claims.get(blob).map(|&hash| BlobDigest::new(hash, blob.n_bytes));
        self.known_here(function, blob).or_else(claim)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer of `signer` about the signature on a result and the signed bytes; `None` without a signature.
fn signed(
    function: DigestFunction,
    entry: &[u8],
    theirs: &Outputs,
    claims: &Claims,
    signer: impl FnOnce(&[u8], &[u8]) -> Option<Voucher>,
) -> Option<Voucher> {
    // Servers may write a message in other words; what was signed is what it says.
    let claim = |blob: &BlobDigest| claims.get(blob).copied();
    let (result, _) = reapi::encode_result_with(&|bytes| function.digest(bytes), theirs, &claim);
    signer(reapi::annotation(entry, NOTE)?, &result)
}

/// The BLAKE3 of blobs, by the server's names.
pub(crate) type Claims = BTreeMap<BlobDigest, Digest>;

/// An output of the same kind whose blobs have other names.
pub(crate) fn renamed(output: &Output, parts: Vec<BlobDigest>) -> Output {
    match (output, parts.first()) {
        (Output::File(_), Some(blob)) => Output::File(*blob),
        _ => Output::Composite(parts),
    }
}
