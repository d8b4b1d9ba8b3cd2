//! Remote workers, configured by the settings: requests, and handling of their failures.

use std::sync::{Arc, Mutex, PoisonError};

use mc_execute::lookup::store_failed;
use mc_ir::action::{ActionError, Piece};
use mc_ir::output::Outputs;
use mc_ir::tags::Tags;
use mc_ir::work::WorkerStage;
use mc_remote::address::Address;
use mc_remote::error::RemoteError;
use mc_remote::local_action::LocalAction;
use mc_remote::remote::Remote;
use mc_remote::workers::{Outcome, WorkerRequirements, Workers};
use mc_rules::remote_kinds::is_remote;
use mc_store::local::store::LocalStore;
use mc_store::mapping::MappedFile;

use crate::remote_cache::error::{RemoteCacheError, Role};
use crate::remote_cache::transport;
use crate::settings::remote::RemoteSettings;
use crate::warning::Warning;

/// Workers in use.
pub(crate) struct RemoteWorkers {
    workers: Workers,
    /// True if actions that they cannot run are run locally.
    falls_back: bool,
    /// The first action that they could not run.
    failure: Mutex<Option<String>>,
}

impl RemoteWorkers {
    /// Opens the workers of the settings.
    pub(crate) fn open(settings: &RemoteSettings) -> Result<Option<Self>, RemoteCacheError> {
        let Some(executor) = &settings.executor else { return Ok(None) };
        let Address::Grpc(place) = executor.address() else { return Err(RemoteCacheError::NotAnExecutor) };
        let executor = transport::grpc(settings, Role::Executor, place.clone())?;
        let workers = &settings.workers;
        let tool = MappedFile::open(&workers.program)
            .map_err(|error| RemoteCacheError::Program(RemoteError::Unusable(error.to_string())))?;
        let requirements = WorkerRequirements {
            properties: workers.properties.clone(),
            queue: workers.queue,
            run: workers.run,
            all: workers.all,
            kinds: is_remote,
        };
        Ok(Some(Self {
            workers: Workers::new(Box::new(executor), Piece::whole(Arc::new(tool)), requirements),
            falls_back: workers.falls_back,
            failure: Mutex::default(),
        }))
    }

    /// Returns the outputs of an action that they ran; `None` if it is to run locally.
    ///
    /// * `on_stage`: receives a call when the action is on its way, and when a worker starts it
    /// * `is_cancelled`: returns true if the outputs are no longer needed
    pub(crate) fn execute(
        &self,
        remote: &Remote,
        store: &LocalStore,
        made: &LocalAction<'_>,
        tags: Tags,
        on_stage: &dyn Fn(WorkerStage),
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Option<Outputs>, ActionError> {
        match self.workers.execute(remote, store, made, tags, on_stage, is_cancelled) {
            Ok(Outcome::Done(outputs)) => Ok(Some(outputs)),
            Ok(Outcome::Stays) => Ok(None),
            Ok(Outcome::Failed(reason)) if self.falls_back => {
                self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
                Ok(None)
            }
            Ok(Outcome::Failed(reason)) => Err(ActionError::failed(format!(
                "The workers of {} did not run this action: {reason}",
                self.workers.name()
            ))
            .with_help("Omit `--remote-local-fallback=false` to run it here")),
            Err(RemoteError::Store(error)) => Err(store_failed(error)),
            Err(error) => Err(ActionError::failed(error)),
        }
    }

    /// The warning about actions that ran locally instead; returned once.
    pub(crate) fn failure(&self) -> Option<Warning> {
        let reason = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(Warning::WorkersFailed { server: self.workers.name(), reason })
    }
}
