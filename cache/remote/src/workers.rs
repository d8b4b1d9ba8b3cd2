//! Remote execution: converts an action into one that a remote worker can run, if that is worthwhile.
//!
//! The worker's program is `mc` itself, a file in the input root next to the action's inputs. The result is adopted
//! like any result of the remote cache.
//!
//! Results of workers are unsigned. A user who requires or creates signatures must trust the workers like the local
//! machine before their results count ([`Workers::attester`]).
//!
//! An action runs remotely if the server already has at least half of its input bytes, or if all of them are few;
//! otherwise their upload costs more than the action. After any failure the action runs locally.

mod claims;
mod job;
mod program;
mod ran;

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mc_digest::digest::{BlobDigest, Digest};
use mc_ir::action::{ActionKind, Piece};
use mc_ir::output::Outputs;
use mc_ir::tags::Tags;
use mc_ir::work::WorkerStage;
use mc_store::attester::Attester;
use mc_store::traits::BlobStore;

use crate::error::RemoteError;
use crate::executor::{Answer, Executor, Task};
use crate::function::DigestFunction;
use crate::local_action::LocalAction;
use crate::lookup::adopt::adopt;
use crate::lookup::result::ServerResult;
use crate::remote::Remote;
use crate::session::breaker::Breaker;
use crate::workers::claims::claims_in;
use crate::workers::job::{Job, Terms, platform};
use crate::workers::program::Program;
use crate::workers::ran::{Ran, Written, in_one_line};

/// Inputs of at most this total size are always uploaded.
const FEW_BYTES: u64 = 4 << 20;
/// Number of consecutive failures after which workers are no longer used.
const MAX_FAILURES: u32 = 3;
/// Limit on the bytes read of a worker program's output.
const MAX_TEXT: u64 = 1 << 20;

/// Requirements on workers, and limits for them.
pub struct WorkerRequirements {
    /// Required properties of a worker, such as `OSFamily` and `linux`.
    pub properties: Vec<(String, String)>,
    /// Limit on the time in the queue until a worker starts an action.
    pub queue: Duration,
    /// Limit on the run time.
    pub run: Duration,
    /// True to run every supported action remotely, regardless of its inputs' location.
    pub all: bool,
    /// Returns true for kinds of actions that can run remotely.
    pub kinds: fn(ActionKind) -> bool,
}

/// Remote workers.
pub struct Workers {
    executor: Box<dyn Executor>,
    program: Program,
    requirements: WorkerRequirements,
    /// Cached result of the check whether the service runs such actions.
    checked: OnceLock<Result<(), String>>,
    breaker: Breaker,
    n_failures: AtomicU32,
}

/// The likely reason and its remedy.
const OTHER_STORE: &str =
    "if its workers use another store than the remote cache, use that store as the cache, or no cache";

/// The outcome of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It ran; its blobs are in the store, or promised.
    Done(Outputs),
    /// It cannot run remotely, or uploading its inputs is not worthwhile.
    Stays,
    /// It failed remotely, for this reason.
    Failed(String),
}

impl Workers {
    /// Creates the workers behind a service; `tool` is the program that they run.
    pub fn new(executor: Box<dyn Executor>, tool: Piece, requirements: WorkerRequirements) -> Self {
        Self {
            executor,
            program: Program::new(tool),
            requirements,
            checked: OnceLock::new(),
            breaker: Breaker::default(),
            n_failures: AtomicU32::new(0),
        }
    }

    /// The attester of results from an executor's workers.
    ///
    /// * `address`: the executor's address, as the user wrote it
    pub fn attester(address: &str) -> Attester {
        Attester::Workers(Digest::of(address.as_bytes()))
    }

    /// Their name in messages.
    pub fn name(&self) -> String {
        self.executor.name()
    }

    /// Runs an action remotely, if that is worthwhile.
    ///
    /// * `remote`: the store that workers read from
    /// * `tags`: the restrictions on the action and on its result
    /// * `on_stage`: called when the action is queued, and when a worker starts it
    /// * `is_cancelled`: called a few times a second; returns true if the action is no longer needed
    ///
    /// # Errors
    /// Fails if this machine fails. A remote failure is an [`Outcome::Failed`].
    pub fn execute(
        &self,
        remote: &Remote,
        store: &dyn BlobStore,
        made: &LocalAction<'_>,
        tags: Tags,
        on_stage: &dyn Fn(WorkerStage),
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Outcome, RemoteError> {
        if !(self.requirements.kinds)(made.node.action.kind()) {
            return Ok(Outcome::Stays);
        }
        let answer = self.breaker.ask(|| self.ask(remote, store, made, tags, on_stage, is_cancelled));
        match answer {
            Ok(outcome) => {
                self.count(&outcome);
                Ok(outcome)
            }
            Err(RemoteError::Store(error)) => Err(RemoteError::Store(error)),
            Err(error) => {
                let of_cache = || remote.failure().or_else(|| remote.upload.outgoing.failure());
                let reason = self.breaker.reason().or_else(of_cache).unwrap_or_else(|| error.to_string());
                Ok(Outcome::Failed(reason))
            }
        }
    }

    fn count(&self, outcome: &Outcome) {
        match outcome {
            Outcome::Done(_) => self.n_failures.store(0, Ordering::Relaxed),
            Outcome::Stays => {}
            Outcome::Failed(reason) => {
                if self.n_failures.fetch_add(1, Ordering::Relaxed) + 1 >= MAX_FAILURES {
                    self.breaker.open(reason.clone());
                }
            }
        }
    }

    fn ask(
        &self,
        remote: &Remote,
        store: &dyn BlobStore,
        made: &LocalAction<'_>,
        tags: Tags,
        on_stage: &dyn Fn(WorkerStage),
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Outcome, RemoteError> {
        let function = remote.session.transport.function()?;
        self.check(function)?;
        let terms = Terms {
            platform: platform(&self.requirements.properties, made.node.action.exec_properties()),
            run: self.requirements.run,
            is_not_kept: tags.not_sent,
        };
        let job = Job::new(&remote.session.notes, function, store, made, &self.program, &terms)?;
        let outgoing = &remote.upload.outgoing;
        let missing = outgoing.missing(job.bytes.keys().copied().collect())?;
        if !self.requirements.all && !pays(&job.inputs, &missing.blobs) {
            return Ok(Outcome::Stays);
        }
        on_stage(WorkerStage::Queued);
        outgoing.send(store, &job.bytes, missing)?;
        let task =
            Task { action: job.action, function, queue: self.requirements.queue, run: self.requirements.run };
        let mut is_sent_again = false;
        loop {
            let failed =
                match self.executor.execute(&task, &|| on_stage(WorkerStage::Running), is_cancelled)? {
                    Answer::Ran(result) => return self.take_over(function, remote, store, made, &result),
                    Answer::Missing(missing) if !is_sent_again => {
                        // The server has lost these blobs since it last reported them as present.
                        is_sent_again = true;
                        let known = missing.into_iter().filter(|blob| job.bytes.contains_key(blob)).collect();
                        outgoing.send(store, &job.bytes, outgoing.missed(known))?;
                        continue;
                    }
                    Answer::Missing(missing) => {
                        let first = missing.first().map(ToString::to_string).unwrap_or_default();
                        format!("it lacks {} uploaded blobs, such as {first}; {OTHER_STORE}", missing.len())
                    }
                    Answer::Queued => {
                        let seconds = self.requirements.queue.as_secs();
                        let reason = format!("no worker started an action within {seconds} s");
                        // The next action would wait as long.
                        self.breaker.open(reason.clone());
                        reason
                    }
                    Answer::NotRun(reason) => reason,
                    Answer::Cancelled => return Ok(Outcome::Stays),
                };
            return Ok(Outcome::Failed(failed));
        }
    }

    /// Checks that the service supports these actions before anything is uploaded.
    fn check(&self, function: DigestFunction) -> Result<(), RemoteError> {
        let checked =
            self.checked.get_or_init(|| self.executor.check(function).map_err(|error| error.to_string()));
        checked.clone().map_err(RemoteError::Unusable)
    }

    fn take_over(
        &self,
        function: DigestFunction,
        remote: &Remote,
        store: &dyn BlobStore,
        made: &LocalAction<'_>,
        result: &[u8],
    ) -> Result<Outcome, RemoteError> {
        let ran = match Ran::read(result) {
            Ok(ran) => ran,
            Err(error) => return Ok(Outcome::Failed(format!("its result cannot be read: {error}"))),
        };
        let incoming = &remote.download.fetcher.incoming;
        let text = |written: Written<'_>| -> Result<String, RemoteError> {
            let blob = written.blob.filter(|blob| written.raw.is_empty() && blob.n_bytes <= MAX_TEXT);
            let bytes = match blob {
                Some(blob) => incoming.small(function, &blob)?.unwrap_or_default(),
                None => written.raw.to_vec(),
            };
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        if ran.exit_code != 0 {
            let (kind, code, said) = (made.node.action.kind().name, ran.exit_code, text(ran.stderr)?);
            return Ok(Outcome::Failed(format!(
                "a `{kind}` ended with exit code {code}: {}",
                in_one_line(&said)
            )));
        }
        let _alone = remote.lookup.alone_with(result);
        let Some(mut theirs) = ServerResult::read(&remote.download, function, result)? else {
            return Ok(Outcome::Failed("a tree of its result is missing".to_owned()));
        };
        let said = text(ran.stdout)?;
        theirs.claims.extend(claims_in(&said, &theirs.outputs));
        Ok(match adopt(&remote.download, function, store, &theirs)? {
            Some(outputs) => Outcome::Done(outputs),
            None => Outcome::Failed(format!("a blob of its result is missing; {OTHER_STORE}")),
        })
    }
}

/// Returns true if the server has enough of the inputs.
fn pays(inputs: &BTreeSet<BlobDigest>, missing: &BTreeSet<BlobDigest>) -> bool {
    let n_bytes: u64 = inputs.iter().map(|blob| blob.n_bytes).sum();
    let n_missing: u64 = inputs.intersection(missing).map(|blob| blob.n_bytes).sum();
    n_bytes <= FEW_BYTES || n_missing <= n_bytes / 2
}

#[test]
fn actions_run_where_their_inputs_are() {
    let blob = |seed: u8, n_bytes| BlobDigest::new(BlobDigest::of(&[seed]).hash, n_bytes);
    let (small, large, larger) = (blob(1, FEW_BYTES / 2), blob(2, 10 << 20), blob(3, 20 << 20));
    let set = |blobs: &[BlobDigest]| blobs.iter().copied().collect::<BTreeSet<_>>();
    assert!(pays(&set(&[small]), &set(&[small])));
    assert!(!pays(&set(&[large]), &set(&[large])));
    assert!(pays(&set(&[large]), &set(&[small])));
    assert!(pays(&set(&[large, larger]), &set(&[large])));
    assert!(!pays(&set(&[large, larger]), &set(&[larger])));
}
