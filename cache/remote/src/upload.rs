//! Upload of local outputs: first the missing blobs, then the result, so that a result never names missing blobs.
//!
//! [`outgoing`] selects and transfers the missing blobs; [`bytes`] locates their bytes.

pub(crate) mod bytes;
pub(crate) mod outgoing;

use std::collections::BTreeMap;
use std::sync::Arc;

use mc_digest::digest::{BlobDigest, Digest};
use mc_ir::output::{Output, Outputs};
use mc_ir::reapi;
use mc_store::traits::BlobStore;

use crate::error::RemoteError;
use crate::function::DigestFunction;
use crate::local_action::LocalAction;
use crate::lookup::Lookup;
use crate::session::Session;
use crate::session::breaker::Breaker;
use crate::session::naming::{encoded, renamed, theirs};
use crate::session::parallel::in_parallel;
use crate::signing::NOTE;
use crate::upload::bytes::Bytes;
use crate::upload::outgoing::Outgoing;

/// Number of blobs that are hashed in parallel to compute their server digests.
const N_NAMED: usize = 4;

/// Uploads results.
pub(crate) struct Upload {
    session: Arc<Session>,
    pub(crate) outgoing: Outgoing,
    /// Separate from the breaker for blobs: if only workers may write results, they still need their input blobs.
    recording: Breaker,
}

impl Upload {
    pub(crate) fn new(session: Arc<Session>) -> Self {
        Self { outgoing: Outgoing::new(Arc::clone(&session)), session, recording: Breaker::default() }
    }

    /// The failure that stopped the upload of results.
    pub(crate) fn failure(&self) -> Option<String> {
        self.outgoing.failure().or_else(|| self.recording.reason())
    }

    /// Uploads the result of an action.
    ///
    /// # Errors
    /// Fails if the server fails.
    pub(crate) fn upload(
        &self,
        store: &dyn BlobStore,
        made: &LocalAction<'_>,
        outputs: &Outputs,
    ) -> Result<(), RemoteError> {
        if self.recording.is_open() {
            return Err(RemoteError::Off);
        }
        let function = self.outgoing.function()?;
        let action = encoded(&self.session.notes, function, store, made)?;
        let Named { outputs, hashes, mut bytes } = self.named(function, store, outputs)?;
        let beside = |blob: &BlobDigest| match function {
            DigestFunction::Blake3 => None,
            DigestFunction::Sha256 => hashes.get(blob).copied(),
        };
        let (mut result, trees) =
            reapi::encode_result_with(&|bytes| function.digest(bytes), &outputs, &beside);
        for message in trees.iter().chain([&action.command, &action.action]) {
            bytes.insert(function.digest(message), Bytes::Message(message));
        }
        let named: Vec<BlobDigest> = bytes.keys().copied().collect();
        let missing = self.outgoing.missing(named.iter().copied().collect())?;
        self.outgoing.send(store, &bytes, missing)?;
        let key = BlobDigest::new(action.digest.hash, action.digest.n_bytes);
        if let Some(signer) = &self.session.signatures.signer {
            let signature = signer.sign(&key, &result);
            reapi::annotate(&mut result, NOTE, &signature);
        }
        self.recording.ask(|| self.session.transport.put_result(&key, &result, &named))
    }

    /// Returns true if the server has no result for an action that clients with the same settings would accept, and all
    /// output blobs are available for upload. A blob that is not local counts as available: it was promised, so the
    /// server has it.
    ///
    /// # Errors
    /// Fails if the server fails.
    pub(crate) fn lacks(
        &self,
        lookup: &Lookup,
        store: &dyn BlobStore,
        made: &LocalAction<'_>,
        outputs: &Outputs,
    ) -> Result<bool, RemoteError> {
        let key = lookup.key(store, made)?;
        if self.recording.is_open() {
            return Err(RemoteError::Off);
        }
        if let Some(entry) = self.outgoing.result(&key)?
            && lookup.counts(self.outgoing.function()?, &key, &entry)?
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

    /// Outputs in the server's digests.
    fn named(
        &self,
        function: DigestFunction,
        store: &dyn BlobStore,
        outputs: &Outputs,
    ) -> Result<Named<'_>, RemoteError> {
        let all: Vec<BlobDigest> = outputs.values().flat_map(Output::parts).copied().collect();
        let name = |part: &BlobDigest| theirs(&self.session.notes, function, store, part, &|| None);
        let mut names = in_parallel(&all, N_NAMED, name)?.into_iter();
        let mut named = Named::default();
        for (name, output) in outputs {
            let parts: Vec<BlobDigest> = names.by_ref().take(output.parts().len()).collect();
            for (part, &blob) in output.parts().iter().zip(&parts) {
                named.hashes.insert(blob, part.hash);
                named.bytes.insert(blob, Bytes::Blob(*part));
            }
            named.outputs.insert(name.clone(), renamed(output, parts));
        }
        Ok(named)
    }
}

/// Outputs in the server's digests, with the BLAKE3 hashes and locations of their blobs.
#[derive(Default)]
struct Named<'a> {
    outputs: Outputs,
    /// BLAKE3 hashes.
    hashes: BTreeMap<BlobDigest, Digest>,
    bytes: BTreeMap<BlobDigest, Bytes<'a>>,
}
