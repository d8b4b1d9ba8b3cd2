//! One server during one command: the way to it, what is known of it, and whether it is still asked.
//!
//! Everything that is done with a server shares its session: [`crate::lookup`], [`crate::download`] and
//! [`crate::upload`]. Outside, digests are of the server's function; inside, of the store's; what they have in common is
//! in [`naming`].

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

/// Questions at a time, where a server is asked about one blob after the other.
const N_QUESTIONS: usize = 8;

/// One server during one command.
pub(crate) struct Session {
    pub(crate) transport: Box<dyn Transport>,
    pub(crate) notes: Notes,
    pub(crate) signatures: Signatures,
    /// For results and blobs that come. What is sent has others, because a server that may only be read is of use all
    /// the same.
    pub(crate) reading: Breaker,
    pub(crate) findings: Findings,
    /// The digest function of the server, once it was asked.
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
    /// When the server has to be asked, and does not answer.
    pub(crate) fn function(&self) -> Result<DigestFunction, RemoteError> {
        let function = self.transport.function()?;
        Ok(*self.function.get_or_init(|| function))
    }

    /// As [`Self::function`], for whoever wants to read something there.
    ///
    /// # Errors
    /// As [`Self::function`], or when the server failed before.
    pub(crate) fn function_to_read(&self) -> Result<DigestFunction, RemoteError> {
        self.reading.ask(|| self.function())
    }

    /// The digest function of the server, if it was asked already.
    pub(crate) fn known_function(&self) -> Option<DigestFunction> {
        self.function.get().copied()
    }

    /// Asks for what need not be there, to see whether the server answers.
    ///
    /// # Errors
    /// When it does not, or did not before.
    pub(crate) fn check(&self) -> Result<(), RemoteError> {
        let key = self.function_to_read()?.digest(b"");
        // Whether it is slow, those say who need an answer: this one may stand behind all that is sent.
        self.reading.ask(|| self.transport.result(&key)).map(|_| ())
    }

    /// Asks which of some blobs the server has not.
    ///
    /// * `breaker`: of those on whose behalf it is asked
    /// * `asked`: in order
    ///
    /// # Errors
    /// When the server fails.
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
        // A server may name what it was not asked for.
        absent.retain(|blob| asked.binary_search(blob).is_ok());
        Ok(absent)
    }

    /// Takes note of a blob that came with other bytes than its name says.
    pub(crate) fn disbelieve(&self, theirs: &BlobDigest, expected: String, found: String) {
        let mismatch = RemoteError::InvalidResponse { server: self.name(), expected, found };
        self.findings.mismatched(*theirs, mismatch.to_string());
    }
}
