//! The remote cache, as a build uses it.
//!
//! Facade over three parts that share a session: `lookup` for results, `download` and `upload` for blobs.

use std::sync::Arc;

use mc_digest::digest::BlobDigest;
use mc_ir::output::Outputs;
use mc_store::attester::Attester;
use mc_store::traits::BlobStore;

use crate::download::{Download, Fetching};
use crate::error::RemoteError;
use crate::function::DigestFunction;
use crate::local_action::LocalAction;
use crate::lookup::Lookup;
use crate::notes::Notes;
use crate::session::Session;
use crate::signing::Signatures;
use crate::transport::Transport;
use crate::upload::Upload;

/// A remote cache.
pub struct Remote {
    pub(crate) session: Arc<Session>,
    pub(crate) download: Arc<Download>,
    pub(crate) lookup: Lookup,
    pub(crate) upload: Upload,
}

impl Remote {
    /// Creates the remote cache behind a transport.
    pub fn new(
        transport: Box<dyn Transport>,
        notes: Notes,
        fetching: Fetching,
        signatures: Signatures,
    ) -> Self {
        let session = Arc::new(Session::new(transport, notes, signatures));
        let download = Arc::new(Download::new(Arc::clone(&session), fetching));
        Self {
            lookup: Lookup::new(Arc::clone(&session), Arc::clone(&download)),
            upload: Upload::new(Arc::clone(&session)),
            session,
            download,
        }
    }

    /// The server's name in messages.
    pub fn name(&self) -> String {
        self.session.name()
    }

    /// Returns the digest function of the server.
    ///
    /// # Errors
    /// Fails if the server has to be asked and does not answer.
    pub fn function(&self) -> Result<DigestFunction, RemoteError> {
        self.session.function()
    }

    /// Other properties of the server, for display.
    ///
    /// # Errors
    /// Fails if the server does not answer.
    pub fn details(&self) -> Result<Vec<(&'static str, String)>, RemoteError> {
        self.session.transport.details()
    }

    /// Requests a key that need not exist, to check that the server answers.
    ///
    /// # Errors
    /// Fails if it does not answer, or failed before.
    pub fn check(&self) -> Result<(), RemoteError> {
        self.session.check()
    }

    /// Returns true if the server failed and is no longer asked.
    pub fn has_failed(&self) -> bool {
        self.session.reading.is_open()
    }

    /// The failure that stopped requests to the server.
    pub fn failure(&self) -> Option<String> {
        self.session.reading.reason()
    }

    /// The failure that stopped uploads.
    pub fn send_failure(&self) -> Option<String> {
        self.upload.failure()
    }

    /// The first response that failed verification.
    pub fn invalid_response(&self) -> Option<String> {
        self.session.findings.invalid_response()
    }

    /// Number of blobs that results on the server name but the server no longer has.
    pub fn n_gone(&self) -> usize {
        self.session.findings.n_gone()
    }

    /// Number of invalid results, and the reason for the first.
    pub fn unreadable(&self) -> Option<(usize, String)> {
        self.lookup.unreadable()
    }

    /// Number of promised blobs that could not be downloaded. After such a loss the build should be repeated.
    pub fn n_lost(&self) -> usize {
        self.download.n_lost()
    }

    /// Number of results ignored because no trusted key signed them.
    pub fn n_unsigned(&self) -> usize {
        self.lookup.n_unsigned()
    }

    /// Downloaded and uploaded bytes of blobs.
    pub fn traffic(&self) -> (u64, u64) {
        (self.download.fetcher.incoming.n_bytes(), self.upload.outgoing.n_bytes())
    }

    /// The outputs of an action and their attesters. `None` if the server has no result, no trusted key signed it, or
    /// one of its blobs is gone. The blobs are in the store or promised. If no trusted keys are configured, signatures
    /// are not checked and the result has no attesters.
    ///
    /// # Errors
    /// Fails if the server fails, or the value under the key is not a result.
    pub fn lookup(
        &self,
        store: &dyn BlobStore,
        made: &LocalAction<'_>,
    ) -> Result<Option<(Outputs, Option<Attester>)>, RemoteError> {
        self.lookup.lookup(store, made)
    }

    /// The server's key of an action. Computes and caches the server's digests of its sources.
    ///
    /// # Errors
    /// Fails if the server fails, or an input cannot be read.
    pub fn key(&self, store: &dyn BlobStore, made: &LocalAction<'_>) -> Result<BlobDigest, RemoteError> {
        self.lookup.key(store, made)
    }

    /// Downloads the given promised blobs that are missing from the store.
    ///
    /// # Errors
    /// Fails if the server fails or the store cannot be written. Blobs that the server no longer has, or sends with
    /// wrong bytes, are counted in [`Self::n_lost`].
    pub fn bring(&self, store: &dyn BlobStore, ours: &[BlobDigest]) -> Result<(), RemoteError> {
        self.download.bring(store, ours)
    }

    /// Returns true if a blob was promised and no finding contradicts the promise. A temporarily unreachable server
    /// does not contradict it, because most promised blobs are never read. With [`Fetching::AtOnce`] no promise counts.
    pub fn promises(&self, ours: &BlobDigest) -> bool {
        self.download.promises(ours)
    }

    /// After a loss, asks the server which of the promised blobs are also gone, and records them.
    ///
    /// # Errors
    /// Fails if the server fails.
    pub fn look_for_losses(&self, store: &dyn BlobStore) -> Result<(), RemoteError> {
        self.download.losses.look(store)
    }

    /// Ignores the server's results and promises from now on.
    pub fn give_up(&self) {
        self.session.findings.give_up();
    }

    /// Returns true if the server's results and promises are ignored.
    pub fn is_given_up(&self) -> bool {
        self.session.findings.is_given_up()
    }

    /// Uploads the result of an action.
    ///
    /// # Errors
    /// Fails if the server fails.
    pub fn upload(
        &self,
        store: &dyn BlobStore,
        made: &LocalAction<'_>,
        outputs: &Outputs,
    ) -> Result<(), RemoteError> {
        self.upload.upload(store, made, outputs)
    }

    /// Returns true if the server has no result for an action that clients with the same settings would accept, and all
    /// output blobs are available for upload. A blob that is not local counts as available: it was promised, so the
    /// server has it.
    ///
    /// # Errors
    /// Fails if the server fails.
    pub fn lacks(
        &self,
        store: &dyn BlobStore,
        made: &LocalAction<'_>,
        outputs: &Outputs,
    ) -> Result<bool, RemoteError> {
        self.upload.lacks(&self.lookup, store, made, outputs)
    }
}
