//! Options for workers that run actions.

use std::time::Duration;

use clap::Args;
use mc_driver::settings::workers::WorkerSettings;

use crate::options::duration::stall_limit;
use crate::report::Report;

/// Options for workers that run actions.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct WorkerOptions {
    /// Have steps done by the workers of this server, where that pays; without a remote cache, that of the server is used
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) remote_executor: Option<String>,

    /// Have workers do every step that they can, wherever its inputs are
    #[arg(long, global = true)]
    pub(crate) remote_executor_all: bool,

    /// Count what workers make as made here where results have to be signed, although nobody signs it
    #[arg(long, global = true)]
    pub(crate) remote_trust_executor: bool,

    /// What a worker must have, such as `OSFamily=linux`; may be given several times
    #[arg(long, global = true, value_name = "NAME=VALUE", value_parser = property)]
    pub(crate) remote_default_exec_properties: Vec<(String, String)>,

    /// Do a step here that no worker takes for so long [default: 60]
    #[arg(long, global = true, value_name = "SECONDS", value_parser = stall_limit)]
    pub(crate) remote_queue_timeout: Option<Duration>,

    /// Do a step here that a worker runs for so long in vain [default: 3600]
    #[arg(long, global = true, value_name = "SECONDS", value_parser = stall_limit)]
    pub(crate) remote_execution_timeout: Option<Duration>,

    /// Do a step here that workers could not do, instead of failing [default: true]
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) remote_local_fallback: Option<bool>,
}

impl WorkerOptions {
    /// The settings.
    ///
    /// # Errors
    /// If the path of this program cannot be told.
    pub(crate) fn settings(&self) -> Result<WorkerSettings, Report> {
        let default = WorkerSettings::default();
        Ok(WorkerSettings {
            // Workers run this very program.
            program: std::env::current_exe()
                .map_err(|error| Report::usage("Cannot use the remote executor").because(error))?,
            properties: self.remote_default_exec_properties.clone(),
            queue: self.remote_queue_timeout.unwrap_or(default.queue),
            run: self.remote_execution_timeout.unwrap_or(default.run),
            all: self.remote_executor_all,
            is_trusted: self.remote_trust_executor,
            falls_back: self.remote_local_fallback.unwrap_or(default.falls_back),
        })
    }
}

fn property(text: &str) -> Result<(String, String), String> {
    let property = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = property.ok_or("expected `NAME=VALUE`")?;
    Ok((name.to_owned(), value.to_owned()))
}
