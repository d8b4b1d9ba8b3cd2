//! One action of a build: its key, a look-up, and on a miss a run.
//!
//! A result is recorded only when the action gave exactly the outputs that it declares, and when the source files that
//! it read are still those whose digests are in its key: otherwise a file that is saved during a build would leave its
//! new bytes' result under its old bytes' key, for ever.

use std::sync::Arc;
use std::time::Instant;

use mc_ir::action::{ActionError, ActionNode, Content, Input};
use mc_ir::output::{Output, Outputs};
use mc_ir::reapi::{self, EncodedAction};
use mc_ir::tags::Tags;

use crate::build::OnMiss;
use crate::context::RunContext;
use crate::event::{Event, EventSink, Origin};
use crate::in_flight::InFlight;
use crate::lookup::{lookup, record};
use crate::permits::Permits;
use crate::remote::RemoteResults;
use crate::running::Running;
use crate::services::{Services, source_content};

/// An action whose inputs are made.
pub(crate) struct Step<'a> {
    pub(crate) node: &'a Arc<ActionNode>,
    pub(crate) tags: Tags,
    /// For each input that is an artifact, what it became.
    pub(crate) artifacts: &'a [Option<Output>],
    pub(crate) services: &'a Services<'a>,
    pub(crate) on_miss: OnMiss,
    pub(crate) events: &'a EventSink<'a>,
}

impl Step<'_> {
    /// Looks the action up, or runs it.
    pub(crate) fn perform(
        &self,
        pool: &rayon::ThreadPool,
        in_flight: &InFlight,
        permits: &Permits,
    ) -> Result<(Outputs, Origin), ActionError> {
        let start = Instant::now();
        let result = self.look_up_or_run(pool, in_flight, permits);
        let node = Arc::clone(self.node);
        match result {
            Ok((outputs, digest, origin)) => {
                (self.events)(Event::Finished { node, digest, origin, elapsed: start.elapsed() });
                Ok((outputs, origin))
            }
            Err(error) => {
                if !matches!(error, ActionError::Cancelled) {
                    (self.events)(Event::Failed { node, message: error.to_string() });
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
    ) -> Result<(Outputs, mc_digest::digest::ActionDigest, Origin), ActionError> {
        let (digests, action, known) = pool.install(|| {
            let digests = self.digests()?;
            let action = reapi::encode_action(self.node, &digests);
            let known = self.lookup(&action)?;
            Ok::<_, ActionError>((digests, action, known))
        })?;
        if let Some(outputs) = known {
            if let Some(remote) = self.remote().filter(|_| !self.tags.not_sent) {
                remote.had(self.node, &digests, &outputs);
            }
            return Ok((outputs, action.digest, Origin::Hit));
        }
        // Outside the pool: there, the thread that waits might be the one that is to finish what it waits for.
        let claim = in_flight.claim(action.digest);
        if claim.has_waited
            && let Some(outputs) = pool.install(|| self.lookup(&action))?
        {
            return Ok((outputs, action.digest, Origin::Hit));
        }
        // Outside the pool, too: whoever waits for a server leaves the cores to those who compute.
        if let Some(outputs) = self.fetch(&digests, &action)? {
            return Ok((outputs, action.digest, Origin::Fetched));
        }
        self.may_run()?;
        if let Some(outputs) = self.run_elsewhere(&digests, &action)? {
            return Ok((outputs, action.digest, Origin::RanRemotely));
        }
        if let Some(remote) = self.services.remote {
            remote.bring(&digests)?;
        }
        let permit = permits.take();
        let outputs = pool.install(|| self.run(&digests, &action));
        drop(permit);
        let outputs = outputs?;
        // Outside the pool once more: it may be waited for until it is sent.
        if let Some(remote) = self.services.remote {
            self.send(remote, &digests, &outputs);
        }
        Ok((outputs, action.digest, Origin::Ran))
    }

    fn lookup(&self, action: &EncodedAction) -> Result<Option<Outputs>, ActionError> {
        // An entry of other outputs is damaged, or somebody else's: a miss.
        Ok(lookup(self.services, action)?.filter(|outputs| is_declared(self.node, outputs)))
    }

    /// What the team's cache has, from now on in the action cache of the store as well.
    fn fetch(&self, digests: &[Output], action: &EncodedAction) -> Result<Option<Outputs>, ActionError> {
        let Some(remote) = self.remote().filter(|_| !self.tags.not_taken) else { return Ok(None) };
        // Somebody else's entry under our key is a miss.
        let found = remote.find(self.node, digests, &|index| self.source(index))?;
        let found = found.filter(|outputs| is_declared(self.node, outputs));
        if let Some(outputs) = &found {
            self.check_sources(digests)?;
            record(self.services, action, outputs)?;
        }
        Ok(found)
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

    /// What workers of the team made of it, if they do it.
    fn run_elsewhere(
        &self,
        digests: &[Output],
        action: &EncodedAction,
    ) -> Result<Option<Outputs>, ActionError> {
        let Some(remote) = self.remote().filter(|_| !self.tags.not_on_workers) else { return Ok(None) };
        let begins = || (self.events)(Event::Started { node: Arc::clone(self.node) });
        let made = remote.execute(self.node, self.tags, digests, &|index| self.source(index), &begins)?;
        // Whatever gave other outputs did not do this step.
        let made = made.filter(|outputs| is_declared(self.node, outputs));
        if let Some(outputs) = &made {
            self.check_sources(digests)?;
            record(self.services, action, outputs)?;
            self.send(remote, digests, outputs);
        }
        Ok(made)
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
        let ctx = RunContext::new(self.services, &self.node.inputs, digests);
        let outputs = self.node.action.run(&ctx)?;
        if !is_declared(self.node, &outputs) {
            let given: Vec<&str> = outputs.keys().map(String::as_str).collect();
            return Err(ActionError::failed(format!(
                "Action `{}` gave the outputs `{}`, expected `{}`; this is a bug in its rule",
                self.node.action.kind().name,
                given.join("`, `"),
                self.node.action.outputs().join("`, `")
            )));
        }
        self.check_sources(digests)?;
        record(self.services, action, &outputs)?;
        Ok(outputs)
    }

    /// The digest of every input.
    fn digests(&self) -> Result<Vec<Output>, ActionError> {
        let inputs = self.node.inputs.iter().zip(self.artifacts);
        let digest = |(input, artifact): (&Input, &Option<Output>)| match (input, artifact) {
            (Input::Source(source), _) => self.services.source_digest(source).map(Output::File),
            (Input::Artifact(_), Some(output)) => Ok(output.clone()),
            (Input::Artifact(artifact), None) => {
                Err(ActionError::failed(format!("`{artifact:?}` was not made by its action")))
            }
        };
        inputs.map(digest).collect()
    }

    /// Costs one look at each source file's metadata, as their digests are remembered.
    fn check_sources(&self, digests: &[Output]) -> Result<(), ActionError> {
        for (input, before) in self.node.inputs.iter().zip(digests) {
            if let Input::Source(source) = input
                && Output::File(self.services.source_digest(source)?) != *before
            {
                let message = format!("`{}` changed while it was read", source.path.display());
                return Err(ActionError::failed(message).with_help("Build again"));
            }
        }
        Ok(())
    }
}

/// Whether the outputs are those that the action declares.
fn is_declared(node: &ActionNode, outputs: &Outputs) -> bool {
    let declared: std::collections::BTreeSet<String> = node.action.outputs().into_iter().collect();
    outputs.keys().eq(declared.iter())
}
