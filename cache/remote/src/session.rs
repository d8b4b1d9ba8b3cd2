//! State of one server during one command: transport, findings, and breaker.
//!
//! All operations on a server share its session: [`crate::lookup`], [`crate::download`] and [`crate::upload`]. A
//! transport uses digests of the server's function, the callers use the store's; [`naming`] maps between them.

pub(crate) mod breaker;
pub(crate) mod findings;
pub(crate) mod in_flight;
pub(crate) mod naming;
pub(crate) mod parallel;

use std::collections::BTreeSet;
use std::sync::OnceLock;

use mc_digest::digest::BlobDigest;

use crate::error::RemoteError;
use crate::function::DigestFunction;
use crate::notes::Notes;
use crate::session::breaker::Breaker;
use crate::session::findings::Findings;
use crate::session::parallel::in_parallel;
use crate::signing::Signatures;
use crate::transport::Transport;

/// Parallel requests to a server that answers for one blob at a time.
const N_QUESTIONS: usize = 8;

/// One server during one command.
pub(crate) struct Session {
    pub(crate) transport: Box<dyn Transport>,
    pub(crate) notes: Notes,
    pub(crate) signatures: Signatures,
    /// Breaker for results and downloads. Uploads have their own, because a read-only server is still useful.
    pub(crate) reading: Breaker,
    pub(crate) findings: Findings,
    /// The server's digest function, once known.
    function: OnceLock<DigestFunction>,
}

impl Session {
    pub(crate) fn new(transport: Box<dyn Transport>, notes: Notes, signatures: Signatures) -> Self {
        Self {
            transport,
            notes,
            signatures,
            reading: Breaker::default(),
            findings: Findings::default(),
            function: OnceLock::new(),
        }
    }

    /// The server's name in messages.
    pub(crate) fn name(&self) -> String {
        self.transport.name()
    }

    /// Returns the digest function of the server.
    ///
    /// # Errors
    /// Fails if the server has to be asked and does not answer.
    pub(crate) fn function(&self) -> Result<DigestFunction, RemoteError> {
        let function = self.transport.function()?;
        Ok(*self.function.get_or_init(|| function))
    }

    /// Same as [`Self::function`], before a read.
    ///
    /// # Errors
    /// Same as [`Self::function`], and fails if the server failed before.
    pub(crate) fn function_to_read(&self) -> Result<DigestFunction, RemoteError> {
        self.reading.ask(|| self.function())
    }

    /// The server's digest function, if already known.
    pub(crate) fn known_function(&self) -> Option<DigestFunction> {
        self.function.get().copied()
    }

    /// Requests a key that need not exist, to check that the server answers.
    ///
    /// # Errors
    /// Fails if it does not answer, or failed before.
    pub(crate) fn check(&self) -> Result<(), RemoteError> {
        let key = self.function_to_read()?.digest(b"");
        // This request may queue behind uploads, so its duration does not count as slow.
        self.reading.ask(|| self.transport.result(&key)).map(|_| ())
    }

    /// Asks the server which of some blobs it lacks.
    ///
    /// * `breaker`: the breaker of the calling operation
    /// * `asked`: sorted
    ///
    /// # Errors
    /// Fails if the server fails.
    pub(crate) fn absent(
        &self,
        breaker: &Breaker,
        asked: &[BlobDigest],
    ) -> Result<BTreeSet<BlobDigest>, RemoteError> {
        let per_question =
            if breaker.ask(|| self.transport.largest_in_batch())? == 0 { 1 } else { asked.len() };
        let questions: Vec<&[BlobDigest]> = asked.chunks(per_question.max(1)).collect();
        let absent = in_parallel(&questions, N_QUESTIONS, |some| {
            breaker.ask_shortly(|| self.transport.missing(some))
        })?;
        let mut absent: BTreeSet<BlobDigest> = absent.into_iter().flatten().collect();
        // A server may name blobs that were not part of the request.
        absent.retain(|blob| asked.binary_search(blob).is_ok());
        Ok(absent)
    }

    /// Records a blob whose bytes did not match its digest.
    pub(crate) fn record_mismatch(&self, theirs: &BlobDigest, expected: String, found: String) {
        let mismatch = RemoteError::InvalidResponse { server: self.name(), expected, found };
        self.findings.mismatched(*theirs, mismatch.to_string());
    }
}
