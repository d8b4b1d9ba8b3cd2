//! One action of a build: computes its key, looks it up, and runs it on a miss.
//!
//! A result is recorded only if the action produced exactly its declared outputs with the sizes that it knows, and the
//! bytes that it read match the digests in its key. Otherwise a file saved during a build would permanently leave the
//! result of its new bytes under the key of its old bytes.
//!
//! A foreign result is used and recorded only if its sizes fit and its attester is trusted. An action that runs here on
//! the outputs of such a result reads bytes that its own key names. So its result is this machine's own, whatever those
//! bytes are: a wrong input leads to another key, which no build with the right input looks up.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mc_digest::digest::ActionDigest;
use mc_ir::action::{ActionError, ActionNode, Content, Input};
use mc_ir::output::{Output, Outputs};
use mc_ir::reapi::{self, EncodedAction};
use mc_ir::tags::Tags;
use mc_ir::work::WorkerStage;
use mc_store::attester::Attester;

use crate::context::{RunContext, changed};
use crate::event::{Event, EventSink, Origin};
use crate::in_flight::InFlight;
use crate::lookup::{Known, lookup, record};
use crate::options::OnMiss;
use crate::permits::Permits;
use crate::remote::{Found, RemoteResults};
use crate::running::Running;
use crate::services::{Services, source_content};

/// An action whose inputs are available.
pub(crate) struct ReadyAction<'a> {
    pub(crate) node: &'a Arc<ActionNode>,
    pub(crate) tags: Tags,
    /// The outputs for the inputs that are artifacts.
    pub(crate) artifacts: &'a [Option<ReadyInput>],
    pub(crate) services: &'a Services<'a>,
    pub(crate) on_miss: OnMiss,
    pub(crate) events: &'a EventSink<'a>,
}

/// An artifact that an action reads.
pub(crate) struct ReadyInput {
    pub(crate) output: Output,
    /// The key of the action that produced it.
    pub(crate) maker: ActionDigest,
    /// True if this machine made it.
    pub(crate) is_own: bool,
}

/// Result of an action.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) outputs: Outputs,
    /// The action's key.
    pub(crate) digest: ActionDigest,
    pub(crate) origin: Origin,
    /// True if this machine made it, now or earlier.
    pub(crate) is_own: bool,
    /// Time of the run, if there was one.
    ran_for: Option<Duration>,
}

impl ReadyAction<'_> {
    /// Looks the action up, or runs it.
    pub(crate) fn perform(
        &self,
        pool: &rayon::ThreadPool,
        in_flight: &InFlight,
        permits: &Permits,
    ) -> Result<Done, ActionError> {
        let start = Instant::now();
        let result = self.look_up_or_run(pool, in_flight, permits);
        let node = Arc::clone(self.node);
        match result {
            Ok(done) => {
                let (digest, origin) = (done.digest, done.origin);
                let elapsed = done.ran_for.unwrap_or_else(|| start.elapsed());
                (self.events)(Event::Finished { node, digest, origin, elapsed });
                Ok(done)
            }
            Err(error) => {
                if !matches!(error, ActionError::Cancelled) {
                    let is_gate = matches!(error, ActionError::GateMissed(_));
                    (self.events)(Event::Failed { node, message: error.to_string(), is_gate });
                }
                Err(error)
            }
        }
    }

    fn look_up_or_run(
        &self,
        pool: &rayon::ThreadPool,
        in_flight: &InFlight,
        permits: &Permits,
    ) -> Result<Done, ActionError> {
        let (digests, action, known) = pool.install(|| {
            let digests = self.digests()?;
            let action = reapi::encode_action(self.node, &digests);
            let known = self.lookup(&action)?;
            Ok::<_, ActionError>((digests, action, known))
        })?;
        let done =
            |outputs, origin, is_own| Done { outputs, digest: action.digest, origin, is_own, ran_for: None };
        if let Some(Known { outputs, is_own }) = known {
            if let Some(remote) = self.remote().filter(|_| !self.tags.not_sent) {
                remote.had(self.node, &digests, &outputs);
            }
            return Ok(done(outputs, Origin::Hit, is_own));
        }
        // Outside the thread pool: inside, the waiting thread might be the one that has to finish the awaited action.
        let claim = in_flight.claim(action.digest);
        if claim.has_waited
            && let Some(Known { outputs, is_own }) = pool.install(|| self.lookup(&action))?
        {
            return Ok(done(outputs, Origin::Hit, is_own));
        }
        // Also outside the pool: a thread that waits for a server leaves the cores to computing threads.
        if let Some(outputs) = self.fetch(&digests, &action)? {
            return Ok(done(outputs, Origin::Fetched, false));
        }
        self.may_run()?;
        if let Some((outputs, ran_for)) = self.run_elsewhere(&digests, &action)? {
            return Ok(Done { ran_for, ..done(outputs, Origin::RanRemotely, false) });
        }
        if let Some(remote) = self.services.remote {
            remote.bring(&digests)?;
        }
        let permit = permits.take();
        let ran = pool.install(|| {
            let start = Instant::now();
            self.run(&digests, &action).map(|outputs| (outputs, start.elapsed()))
        });
        drop(permit);
        let (outputs, ran_for) = ran?;
        // Also outside the pool: this may wait for the upload.
        if let Some(remote) = self.services.remote {
            self.send(remote, &digests, &outputs);
        }
        Ok(Done { ran_for: Some(ran_for), ..done(outputs, Origin::Ran, true) })
    }

    fn lookup(&self, action: &EncodedAction) -> Result<Option<Known>, ActionError> {
        if self.services.suspects.is_suspect(&action.digest) {
            return Ok(None);
        }
        // An entry with other outputs is damaged or foreign: a miss.
        Ok(lookup(self.services, action)?.filter(|known| misfit(self.node, &known.outputs).is_none()))
    }

    /// Foreign outputs, if they fit and their attester is trusted.
    fn believed(&self, found: Option<Found>) -> Option<Found> {
        found.filter(|(outputs, attester)| {
            misfit(self.node, outputs).is_none() && self.services.trust.accepts(attester)
        })
    }

    /// The result in the remote cache; records it in the local action cache.
    fn fetch(&self, digests: &[Output], action: &EncodedAction) -> Result<Option<Outputs>, ActionError> {
        let is_wanted = !self.tags.not_taken && !self.services.suspects.is_suspect(&action.digest);
        let Some(remote) = self.remote().filter(|_| is_wanted) else { return Ok(None) };
        // A foreign entry under our key is a miss.
        let found = self.believed(remote.find(self.node, digests, &|index| self.source(index))?);
        let Some((outputs, attester)) = found else { return Ok(None) };
        self.check_sources(digests)?;
        record(self.services, action, &outputs, attester)?;
        Ok(Some(outputs))
    }

    /// Checks that the action may run, here or remotely, after all lookups missed.
    fn may_run(&self) -> Result<(), ActionError> {
        match self.on_miss {
            OnMiss::Run => Ok(()),
            OnMiss::Fail if self.services.is_cancelled() => Err(ActionError::Cancelled),
            OnMiss::Fail => {
                Err(ActionError::failed("No cache has the result of this action, and no action may run")
                    .with_help("Omit `--remote-require-cached` to run it"))
            }
        }
    }

    /// Returns the result of remote workers, if they ran the action, and the time since a worker started it.
    fn run_elsewhere(
        &self,
        digests: &[Output],
        action: &EncodedAction,
    ) -> Result<Option<(Outputs, Option<Duration>)>, ActionError> {
        let is_wanted = !self.tags.not_on_workers && !self.services.suspects.is_suspect(&action.digest);
        let Some(remote) = self.remote().filter(|_| is_wanted) else { return Ok(None) };
        let started = Cell::new(None);
        let on_stage = |stage| {
            let node = Arc::clone(self.node);
            (self.events)(match stage {
                WorkerStage::Queued => Event::Queued { node },
                WorkerStage::Running => {
                    started.set(Some(Instant::now()));
                    Event::Started { node }
                }
            });
        };
        let made = remote.execute(self.node, self.tags, digests, &|index| self.source(index), &on_stage)?;
        // A result with other outputs does not belong to this action.
        let Some((outputs, attester)) = self.believed(made) else { return Ok(None) };
        self.check_sources(digests)?;
        record(self.services, action, &outputs, attester)?;
        self.send(remote, digests, &outputs);
        Ok(Some((outputs, started.get().map(|start| start.elapsed()))))
    }

    /// The remote cache, unless the build is stopping.
    fn remote(&self) -> Option<&dyn RemoteResults> {
        self.services.remote.filter(|_| !self.services.is_cancelled())
    }

    fn send(&self, remote: &dyn RemoteResults, digests: &[Output], outputs: &Outputs) {
        if !self.tags.not_sent {
            remote.made(self.node, digests, outputs);
        }
    }

    /// The bytes of a source input.
    fn source(&self, index: usize) -> Option<Content> {
        match self.node.inputs.get(index) {
            Some(Input::Source(source)) => source_content(source).ok(),
            _ => None,
        }
    }

    fn run(&self, digests: &[Output], action: &EncodedAction) -> Result<Outputs, ActionError> {
        if self.services.is_cancelled() {
            return Err(ActionError::Cancelled);
        }
        (self.events)(Event::Started { node: Arc::clone(self.node) });
        let _running = Running::begin();
        let ctx = RunContext::new(self.services, self.node, digests, self.events);
        let ran = self.node.action.run(&ctx);
        if let Ok(_) | Err(ActionError::Failed { .. } | ActionError::GateMissed(_)) = &ran {
            // A failed action may have read bytes that do not match its key, too.
            self.check_sources(digests)?;
            ctx.check_inputs()?;
        }
        let outputs = ran.inspect_err(|error| self.blame_inputs(&ctx, error))?;
        if let Some(misfit) = misfit(self.node, &outputs) {
            let kind = self.node.action.kind().name;
            return Err(ActionError::failed(format!("Action `{kind}` {misfit}; this is a bug in its rule")));
        }
        record(self.services, action, &outputs, Some(Attester::Here))?;
        self.services.suspects.made(&action.digest);
        Ok(outputs)
    }

    /// After a failure: marks the foreign results that the action read, because they may be the cause.
    fn blame_inputs(&self, ctx: &RunContext<'_>, error: &ActionError) {
        if ctx.has_failed() || !matches!(error, ActionError::Failed { .. }) {
            return;
        }
        let read = ctx.read().into_iter().filter_map(|index| self.artifacts[index].as_ref());
        let makers: BTreeSet<ActionDigest> =
            read.filter(|given| !given.is_own).map(|given| given.maker).collect();
        self.services.refuse(self.node, &error.to_string(), &makers);
    }

    /// The digest of every input.
    fn digests(&self) -> Result<Vec<Output>, ActionError> {
        let inputs = self.node.inputs.iter().zip(self.artifacts);
        let digest = |(input, artifact): (&Input, &Option<ReadyInput>)| match (input, artifact) {
            (Input::Source(source), _) => self.services.source_digest(source).map(Output::File),
            (Input::Artifact(_), Some(given)) => Ok(given.output.clone()),
            (Input::Artifact(artifact), None) => {
                Err(ActionError::failed(format!("`{artifact:?}` was not produced by its action")))
            }
        };
        inputs.map(digest).collect()
    }

    /// Costs one metadata query per source file, because digests are remembered.
    fn check_sources(&self, digests: &[Output]) -> Result<(), ActionError> {
        for (input, before) in self.node.inputs.iter().zip(digests) {
            let (Input::Source(source), Output::File(before)) = (input, before) else { continue };
            let now = self.services.source_digest(source)?;
            if now != *before {
                return Err(changed(source, "changed while it was read", before, &now));
            }
        }
        Ok(())
    }
}

/// Describes the difference between the outputs and the declared ones, as a predicate; `None` if there is none.
fn misfit(node: &ActionNode, outputs: &Outputs) -> Option<String> {
    let declared: BTreeSet<String> = node.action.outputs().into_iter().collect();
    if !outputs.keys().eq(declared.iter()) {
        let given: Vec<&str> = outputs.keys().map(String::as_str).collect();
        let (given, expected) = (given.join("`, `"), node.action.outputs().join("`, `"));
        return Some(format!("produced the outputs `{given}`, expected `{expected}`"));
    }
    outputs.iter().find_map(|(name, output)| {
        let expected = node.action.output_size(name).filter(|expected| *expected != output.n_bytes())?;
        Some(format!("produced the output `{name}` in {} bytes, expected {expected}", output.n_bytes()))
    })
}
