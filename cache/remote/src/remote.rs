//! A team's cache: what a build does with a server.
//!
//! One face for three parts that share a session: `lookup` for results, `download` for blobs that
//! come, `upload` for what goes.

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

/// A team's cache.
pub struct Remote {
    pub(crate) session: Arc<Session>,
    pub(crate) download: Arc<Download>,
    pub(crate) lookup: Lookup,
    pub(crate) upload: Upload,
}

impl Remote {
    /// The cache behind a transport.
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
    /// When the server has to be asked, and does not answer.
    pub fn function(&self) -> Result<DigestFunction, RemoteError> {
        self.session.function()
    }

    /// Other properties of the server, for people.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn details(&self) -> Result<Vec<(&'static str, String)>, RemoteError> {
        self.session.transport.details()
    }

    /// Asks for what need not be there, to see whether the server answers.
    ///
    /// # Errors
    /// When it does not, or did not before.
    pub fn check(&self) -> Result<(), RemoteError> {
        self.session.check()
    }

    /// Tells whether the server failed, and is not asked any more.
    pub fn has_failed(&self) -> bool {
        self.session.reading.is_open()
    }

    /// The reason why the server is not asked any more, if it failed.
    pub fn failure(&self) -> Option<String> {
        self.session.reading.reason()
    }

    /// The reason why nothing is sent any more, if the server did not take something.
    pub fn send_failure(&self) -> Option<String> {
        self.upload.failure()
    }

    /// The first thing that the server sent and that was not believed.
    pub fn invalid_response(&self) -> Option<String> {
        self.session.findings.invalid_response()
    }

    /// Number of blobs that the server had no more, though a result of its names them.
    pub fn n_gone(&self) -> usize {
        self.session.findings.n_gone()
    }

    /// Number of results that were none at all, and why the first was.
    pub fn unreadable(&self) -> Option<(usize, String)> {
        self.lookup.unreadable()
    }

    /// Number of blobs that were promised and could not be had. After such a loss a build is to be tried again.
    pub fn n_lost(&self) -> usize {
        self.download.n_lost()
    }

    /// Number of results that were left alone because nobody who is trusted signed them.
    pub fn n_unsigned(&self) -> usize {
        self.lookup.n_unsigned()
    }

    /// Bytes of blobs that came and that went.
    pub fn traffic(&self) -> (u64, u64) {
        (self.download.fetcher.incoming.n_bytes(), self.upload.outgoing.n_bytes())
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
        made: &LocalAction<'_>,
    ) -> Result<Option<(Outputs, Option<Attester>)>, RemoteError> {
        self.lookup.lookup(store, made)
    }

    /// The key of an action there. Naming its sources is part of that, and remembered.
    ///
    /// # Errors
    /// When the server fails, or an input cannot be read.
    pub fn key(&self, store: &dyn BlobStore, made: &LocalAction<'_>) -> Result<BlobDigest, RemoteError> {
        self.lookup.key(store, made)
    }

    /// Brings blobs that the server promised, all that are not here.
    ///
    /// # Errors
    /// When the server fails, or the store cannot be written. What the server has not any more, or sends wrongly, is
    /// counted in [`Self::n_lost`].
    pub fn bring(&self, store: &dyn BlobStore, ours: &[BlobDigest]) -> Result<(), RemoteError> {
        self.download.bring(store, ours)
    }

    /// Tells whether a blob was promised, and nothing is known that speaks against it. A server that cannot be asked just
    /// now does not: most of what it promised is never read. Where everything is to be here, no promise is as good.
    pub fn promises(&self, ours: &BlobDigest) -> bool {
        self.download.promises(ours)
    }

    /// After a loss: asks which of the blobs that were promised so far are gone as well, and takes note of them.
    ///
    /// # Errors
    /// When the server fails.
    pub fn look_for_losses(&self, store: &dyn BlobStore) -> Result<(), RemoteError> {
        self.download.losses.look(store)
    }

    /// The server's results and its promises count no more.
    pub fn give_up(&self) {
        self.session.findings.give_up();
    }

    /// Tells whether the server's results and its promises count no more.
    pub fn is_given_up(&self) -> bool {
        self.session.findings.is_given_up()
    }

    /// Sends what an action gave.
    ///
    /// # Errors
    /// When the server fails.
    pub fn upload(
        &self,
        store: &dyn BlobStore,
        made: &LocalAction<'_>,
        outputs: &Outputs,
    ) -> Result<(), RemoteError> {
        self.upload.upload(store, made, outputs)
    }

    /// Tells whether the server has no result for an action that clients with our settings would take, and all blobs of
    /// the action's outputs are here to be sent. A blob that is not here any more is on the server: it was promised.
    ///
    /// # Errors
    /// When the server fails.
    pub fn lacks(
        &self,
        store: &dyn BlobStore,
        made: &LocalAction<'_>,
        outputs: &Outputs,
    ) -> Result<bool, RemoteError> {
        self.upload.lacks(&self.lookup, store, made, outputs)
    }
}
