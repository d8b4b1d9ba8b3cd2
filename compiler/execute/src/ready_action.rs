//! One action of a build: its key, a look-up, and on a miss a run.
//!
//! A result is recorded only when the action gave exactly the outputs that it declares, in the sizes that it knows, and
//! when the bytes that it read are those whose digests are in its key: otherwise a file that is saved during a build
//! would leave its new bytes' result under its old bytes' key, for ever.
//!
//! A result of somebody else is used and recorded only when its sizes fit and somebody who is trusted answers for it. An
//! action that runs here on the outputs of such a result runs on bytes that its own key names, so its result is this
//! machine's own, whatever those bytes are: a wrong input gives another key, which nobody with the right input asks for.

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

/// An action whose inputs are made.
pub(crate) struct ReadyAction<'a> {
    pub(crate) node: &'a Arc<ActionNode>,
    pub(crate) tags: Tags,
    /// For each input that is an artifact, what it became.
    pub(crate) artifacts: &'a [Option<ReadyInput>],
    pub(crate) services: &'a Services<'a>,
    pub(crate) on_miss: OnMiss,
    pub(crate) events: &'a EventSink<'a>,
}

/// An artifact that an action reads.
pub(crate) struct ReadyInput {
    pub(crate) output: Output,
    /// The key of the action that gave it.
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
    /// True if this machine made it, now or before.
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
        // Outside the pool: there, the thread that waits might be the one that is to finish what it waits for.
        let claim = in_flight.claim(action.digest);
        if claim.has_waited
            && let Some(Known { outputs, is_own }) = pool.install(|| self.lookup(&action))?
        {
            return Ok(done(outputs, Origin::Hit, is_own));
        }
        // Outside the pool, too: whoever waits for a server leaves the cores to those who compute.
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
        // Outside the pool once more: it may be waited for until it is sent.
        if let Some(remote) = self.services.remote {
            self.send(remote, &digests, &outputs);
        }
        Ok(Done { ran_for: Some(ran_for), ..done(outputs, Origin::Ran, true) })
    }

    fn lookup(&self, action: &EncodedAction) -> Result<Option<Known>, ActionError> {
        if self.services.suspects.is_suspect(&action.digest) {
            return Ok(None);
        }
        // An entry of other outputs is damaged, or somebody else's: a miss.
        Ok(lookup(self.services, action)?.filter(|known| misfit(self.node, &known.outputs).is_none()))
    }

    /// Outputs that others made, if they fit and somebody who is trusted answers for them.
    fn believed(&self, found: Option<Found>) -> Option<Found> {
        found.filter(|(outputs, attester)| {
            misfit(self.node, outputs).is_none() && self.services.trust.accepts(attester)
        })
    }

    /// What the team's cache has, from now on in the action cache of the store as well.
    fn fetch(&self, digests: &[Output], action: &EncodedAction) -> Result<Option<Outputs>, ActionError> {
        let is_wanted = !self.tags.not_taken && !self.services.suspects.is_suspect(&action.digest);
        let Some(remote) = self.remote().filter(|_| is_wanted) else { return Ok(None) };
        // Somebody else's entry under our key is a miss.
        let found = self.believed(remote.find(self.node, digests, &|index| self.source(index))?);
        let Some((outputs, attester)) = found else { return Ok(None) };
        self.check_sources(digests)?;
        record(self.services, action, &outputs, attester)?;
        Ok(Some(outputs))
    }

    /// Whether it may be run, by whomever, now that no cache has it.
    fn may_run(&self) -> Result<(), ActionError> {
        match self.on_miss {
            OnMiss::Run => Ok(()),
            OnMiss::Fail if self.services.is_cancelled() => Err(ActionError::Cancelled),
            OnMiss::Fail => {
                Err(ActionError::failed("No cache has what this step gives, and nothing may run")
                    .with_help("Leave `--remote-require-cached` out to have it made"))
            }
        }
    }

    /// What workers of the team made of it, if they do it, and the time since one of them took it.
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
        // Whatever gave other outputs did not do this step.
        let Some((outputs, attester)) = self.believed(made) else { return Ok(None) };
        self.check_sources(digests)?;
        record(self.services, action, &outputs, attester)?;
        self.send(remote, digests, &outputs);
        Ok(Some((outputs, started.get().map(|start| start.elapsed()))))
    }

    /// The team's cache, unless nothing is to be begun any more.
    fn remote(&self) -> Option<&dyn RemoteResults> {
        self.services.remote.filter(|_| !self.services.is_cancelled())
    }

    fn send(&self, remote: &dyn RemoteResults, digests: &[Output], outputs: &Outputs) {
        if !self.tags.not_sent {
            remote.made(self.node, digests, outputs);
        }
    }

    /// The bytes of an input that is a source.
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
            // Also what failed may have failed over bytes that are not those of its key.
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

    /// After a failure: whatever the action read and this machine did not make may be what it failed over.
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
                Err(ActionError::failed(format!("`{artifact:?}` was not made by its action")))
            }
        };
        inputs.map(digest).collect()
    }

    /// Costs one look at each source file's metadata, as their digests are remembered.
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

/// How outputs differ from those that the action declares, as what it did; `None` when they do not.
fn misfit(node: &ActionNode, outputs: &Outputs) -> Option<String> {
    let declared: BTreeSet<String> = node.action.outputs().into_iter().collect();
    if !outputs.keys().eq(declared.iter()) {
        let given: Vec<&str> = outputs.keys().map(String::as_str).collect();
        let (given, expected) = (given.join("`, `"), node.action.outputs().join("`, `"));
        return Some(format!("gave the outputs `{given}`, expected `{expected}`"));
    }
    outputs.iter().find_map(|(name, output)| {
        let expected = node.action.output_size(name).filter(|expected| *expected != output.n_bytes())?;
        Some(format!("gave the output `{name}` in {} bytes, expected {expected}", output.n_bytes()))
    })
}
