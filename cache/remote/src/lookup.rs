//! Lookup of results: finds the result under an action's key, and its signer.
//!
//! [`result`] parses results, [`adopt`] maps their blobs to the store. Fetching is in [`crate::download`], sending in
//! [`crate::upload`].

pub(crate) mod adopt;
pub(crate) mod result;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mc_digest::digest::BlobDigest;
use mc_ir::output::Outputs;
use mc_ir::reapi_result;
use mc_store::attester::Attester;
use mc_store::traits::BlobStore;

use crate::download::Download;
use crate::error::RemoteError;
use crate::function::DigestFunction;
use crate::local_action::LocalAction;
use crate::lookup::adopt::adopt;
use crate::lookup::result::ServerResult;
use crate::session::Session;
use crate::session::naming::encoded;
use crate::signing::Signer;

/// Results with more bytes of trees are adopted one at a time.
const LARGE_TREES: u64 = 1 << 20;

/// Looks up results.
pub(crate) struct Lookup {
    session: Arc<Session>,
    download: Arc<Download>,
    /// Locked while a result with large trees is adopted.
    large: Mutex<()>,
    n_unsigned: AtomicUsize,
    /// Number of invalid results, and the reason for the first.
    unreadable: Mutex<Option<(usize, String)>>,
}

impl Lookup {
    pub(crate) fn new(session: Arc<Session>, download: Arc<Download>) -> Self {
        Self {
            session,
            download,
            large: Mutex::default(),
            n_unsigned: AtomicUsize::new(0),
            unreadable: Mutex::default(),
        }
    }

    /// Number of results ignored because no trusted key signed them.
    pub(crate) fn n_unsigned(&self) -> usize {
        self.n_unsigned.load(Ordering::Relaxed)
    }

    /// Number of invalid results, and the reason for the first.
    pub(crate) fn unreadable(&self) -> Option<(usize, String)> {
        self.lock_unreadable().clone()
    }

    /// The outputs of an action and their attesters; see [`crate::remote::Remote::lookup`].
    ///
    /// # Errors
    /// Fails if the server fails, or the value under the key is not a result.
    pub(crate) fn lookup(
        &self,
        store: &dyn BlobStore,
        made: &LocalAction<'_>,
    ) -> Result<Option<(Outputs, Option<Attester>)>, RemoteError> {
        let session = &self.session;
        let function = session.function_to_read()?;
        let key = self.key(store, made)?;
        if session.findings.is_given_up() {
            return Ok(None);
        }
        let found = session.reading.ask_shortly(|| session.transport.result(&key))?;
        let Some(entry) = found else { return Ok(None) };
        let _alone = self.alone_with(&entry);
        let read = ServerResult::read(&self.download, function, &entry);
        let read = read.and_then(|result| result.map(|result| result.of(made, &session.name())).transpose());
        let read = read.inspect_err(|error| {
            if let RemoteError::NoResult { reason, .. } = error {
                self.lock_unreadable().get_or_insert_with(|| (0, reason.clone())).0 += 1;
            }
        });
        let Some(result) = read? else { return Ok(None) };
        let attester = match &session.signatures.trusted {
            None => None,
            Some(trusted) => {
                let signer = |signature: &[u8], signed: &[u8]| trusted.signer(signature, &key, signed);
                let Some(attester) = result.signer(function, &entry, signer) else {
                    self.n_unsigned.fetch_add(1, Ordering::Relaxed);
                    return Ok(None);
                };
                Some(attester)
            }
        };
        Ok(adopt(&self.download, function, store, &result)?.map(|outputs| (outputs, attester)))
    }

    /// Returns true if clients with the same signature settings would accept the server's result under a key.
    ///
    /// # Errors
    /// Fails if the server fails.
    pub(crate) fn counts(
        &self,
        function: DigestFunction,
        key: &BlobDigest,
        entry: &[u8],
    ) -> Result<bool, RemoteError> {
        let Some(trusted) = &self.session.signatures.trusted else { return Ok(true) };
        let own = self.session.signatures.signer.as_ref().map(Signer::trusted).unwrap_or_default();
        match ServerResult::read(&self.download, function, entry) {
            Ok(Some(result)) => Ok(result
                .signer(function, entry, |signature, signed| {
                    trusted.signer(signature, key, signed).or_else(|| own.signer(signature, key, signed))
                })
                .is_some()),
            Ok(None) | Err(RemoteError::NoResult { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The server's key of an action. Computes and caches the server's digests of its sources.
    ///
    /// # Errors
    /// Fails if the server fails, or an input cannot be read.
    pub(crate) fn key(
        &self,
        store: &dyn BlobStore,
        made: &LocalAction<'_>,
    ) -> Result<BlobDigest, RemoteError> {
        let function = self.session.function_to_read()?;
        let key = encoded(&self.session.notes, function, store, made)?.digest;
        Ok(BlobDigest::new(key.hash, key.n_bytes))
    }

    /// For a result with large trees, waits until no other thread adopts one: each takes a hundred megabytes of memory
    /// or more.
    pub(crate) fn alone_with(&self, entry: &[u8]) -> Option<MutexGuard<'_, ()>> {
        let is_large = reapi_result::n_tree_bytes(entry) > LARGE_TREES;
        is_large.then(|| self.large.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn lock_unreadable(&self) -> MutexGuard<'_, Option<(usize, String)>> {
        self.unreadable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
