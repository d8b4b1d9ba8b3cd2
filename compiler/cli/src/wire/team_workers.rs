//! The team's workers as the options name them: what they are asked for, and what it means when they fail.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mc_execute::lookup::store_failed;
use mc_ir::action::{ActionError, Piece};
use mc_ir::output::Outputs;
use mc_ir::tags::Tags;
use mc_remote::address::Address;
use mc_remote::error::RemoteError;
use mc_remote::made::Made;
use mc_remote::remote::Remote;
use mc_remote::workers::{Outcome, Wishes, Workers};
use mc_rules::remote_kinds::is_remote;
use mc_store::local::store::LocalStore;
use mc_store::mapping::MappedFile;

use crate::invocation::Invocation;
use crate::report::Report;
use crate::wire::team_settings::TeamSettings;
use crate::wire::team_transport::{self, Role};

/// How long a step may wait until a worker takes it, and how long it may run there.
const QUEUE: Duration = Duration::from_secs(60);
const RUN: Duration = Duration::from_secs(3600);

/// Workers in use.
pub(crate) struct TeamWorkers {
    workers: Workers,
    /// Whether what they cannot do is done here.
    falls_back: bool,
    /// What they could not do, the first time.
    failure: Mutex<Option<String>>,
}

impl TeamWorkers {
    /// The workers that the options name.
    pub(crate) fn open(invocation: &Invocation, settings: &TeamSettings) -> Result<Option<Self>, Report> {
        let options = &invocation.options;
        let Some(address) = &settings.executor else { return Ok(None) };
        let unusable = |reason: String| Report::usage("Cannot use the remote executor").because(reason);
        let address = Address::parse(address).map_err(|error| unusable(error.to_string()))?;
        let Address::Grpc(place) = address else {
            return Err(unusable("Only servers that speak gRPC run steps".to_owned())
                .hint("Its address begins with `grpc://`, `grpcs://` or `unix:`"));
        };
        let executor = team_transport::grpc(options, settings, Role::Executor, place)?;
        // What workers run is this very program.
        let tool = std::env::current_exe().map_err(|error| unusable(error.to_string()))?;
        let tool = MappedFile::open(&tool).map_err(|error| unusable(error.to_string()))?;
        let wishes = Wishes {
            properties: options.remote_default_exec_properties.clone(),
            queue: options.remote_queue_timeout.unwrap_or(QUEUE),
            run: options.remote_execution_timeout.unwrap_or(RUN),
            all: options.remote_executor_all,
            kinds: is_remote,
        };
        Ok(Some(Self {
            workers: Workers::new(Box::new(executor), Piece::whole(Arc::new(tool)), wishes),
            falls_back: options.remote_local_fallback.unwrap_or(true),
            failure: Mutex::default(),
        }))
    }

    /// The outputs of a step that they did; `None` when it is to be done here.
    ///
    /// * `is_cancelled`: whether nobody wants them any more
    pub(crate) fn execute(
        &self,
        remote: &Remote,
        store: &LocalStore,
        made: &Made<'_>,
        tags: Tags,
        begins: &dyn Fn(),
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Option<Outputs>, ActionError> {
        match self.workers.execute(remote, store, made, tags, begins, is_cancelled) {
            Ok(Outcome::Done(outputs)) => Ok(Some(outputs)),
            Ok(Outcome::Stays) => Ok(None),
            Ok(Outcome::Failed(reason)) if self.falls_back => {
                self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
                Ok(None)
            }
            Ok(Outcome::Failed(reason)) => Err(ActionError::failed(format!(
                "The workers of {} did not do this step: {reason}",
                self.workers.name()
            ))
            .with_help("Leave `--remote-local-fallback=false` out to do it here")),
            Err(RemoteError::Store(error)) => Err(store_failed(error)),
            Err(error) => Err(ActionError::failed(error)),
        }
    }

    /// What is to be said about steps that were done here instead.
    pub(crate) fn failure(&self) -> Option<String> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(format!(
            "Steps were done here that the workers of {} did not do: {failure}",
            self.workers.name()
        ))
    }
}
