//! A result as the server stores it: outputs in the server's digests, and their claimed BLAKE3 digests.

use std::collections::BTreeMap;

use mc_digest::digest::{BlobDigest, Digest};
use mc_ir::output::Outputs;
use mc_ir::{reapi, reapi_result};
use mc_store::attester::Attester;

use crate::download::Download;
use crate::error::RemoteError;
use crate::function::DigestFunction;
use crate::local_action::LocalAction;
use crate::signing::NOTE;

/// Claimed BLAKE3 digests, by server digest.
pub(crate) type Claims = BTreeMap<BlobDigest, Digest>;

/// A result of the server.
pub(crate) struct ServerResult {
    pub(crate) outputs: Outputs,
    pub(crate) claims: Claims,
}

impl ServerResult {
    /// Parses a result; `None` if the tree of an output is missing or corrupt.
    ///
    /// # Errors
    /// Fails if the server fails, or the value is not a result.
    pub(crate) fn read(
        download: &Download,
        function: DigestFunction,
        entry: &[u8],
    ) -> Result<Option<Self>, RemoteError> {
        let session = &download.session;
        let (mut failure, mut claims) = (None, Claims::new());
        let mut is_whole = true;
        let decoded = reapi_result::decode_result_with(
            entry,
            &mut |tree| {
                let found = download.fetcher.incoming.small(function, tree).unwrap_or_else(|error| {
                    failure = Some(error);
                    None
                });
                if found.is_none() && failure.is_none() {
                    is_whole = false;
                    session.findings.are_gone([*tree]);
                }
                found
            },
            &mut |blob, hash| {
                claims.insert(*blob, hash);
            },
        );
        match (failure, decoded) {
            (Some(error), _) => Err(error),
            (None, Ok(outputs)) => Ok(Some(Self { outputs, claims })),
            (None, Err(_)) if !is_whole => Ok(None),
            (None, Err(error)) => {
                Err(RemoteError::NoResult { server: session.name(), reason: error.to_string() })
            }
        }
    }

    /// Returns the result if its outputs are those that the action declares. Otherwise it belongs to another key.
    ///
    /// # Errors
    /// Fails if the outputs differ.
    pub(crate) fn of(self, made: &LocalAction<'_>, server: &str) -> Result<Self, RemoteError> {
        let mut declared = made.node.action.outputs();
        declared.sort();
        if self.outputs.keys().eq(&declared) {
            return Ok(self);
        }
        let reason = "it has other outputs than the action".to_owned();
        Err(RemoteError::NoResult { server: server.to_owned(), reason })
    }

    /// Passes the signature on a result and the signed bytes to `signer`; `None` without a signature.
    pub(crate) fn signer(
        &self,
        function: DigestFunction,
        entry: &[u8],
        signer: impl FnOnce(&[u8], &[u8]) -> Option<Attester>,
    ) -> Option<Attester> {
        // Servers may re-encode a message, so the signature covers its meaning.
        let claim = |blob: &BlobDigest| self.claims.get(blob).copied();
        let (result, _) = reapi::encode_result_with(&|bytes| function.digest(bytes), &self.outputs, &claim);
        signer(reapi::annotation(entry, NOTE)?, &result)
    }

    /// The local digest that the result claims for a blob of the server.
    pub(crate) fn claimed(&self, blob: &BlobDigest) -> Option<BlobDigest> {
        self.claims.get(blob).map(|&hash| BlobDigest::new(hash, blob.n_bytes))
    }
}
