//! Options for workers that run actions.

use std::time::Duration;

use clap::Args;
use mc_driver::settings::workers::WorkerSettings;

use crate::options::duration::stall_limit;
use crate::report::Report;

/// Options for workers that run actions.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Worker options")]
pub(crate) struct WorkerOptions {
    /// Address of a server whose workers run actions; it is also the remote cache, unless another is named
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) remote_executor: Option<String>,

    /// Run every supported action on workers, even if its inputs are on this machine
    #[arg(long, global = true)]
    pub(crate) remote_executor_all: bool,

    /// Accept unsigned results of workers where signatures are required
    #[arg(long, global = true)]
    pub(crate) remote_trust_executor: bool,

    /// Property that a worker must have, such as `OSFamily=linux`; repeatable
    #[arg(long, global = true, value_name = "NAME=VALUE", value_parser = property)]
    pub(crate) remote_default_exec_properties: Vec<(String, String)>,

    /// Run an action locally if no worker has started it after this many seconds [default: 60]
    #[arg(long, global = true, value_name = "SECONDS", value_parser = stall_limit)]
    pub(crate) remote_queue_timeout: Option<Duration>,

    /// Run an action locally if a worker has not finished it after this many seconds [default: 3600]
    #[arg(long, global = true, value_name = "SECONDS", value_parser = stall_limit)]
    pub(crate) remote_execution_timeout: Option<Duration>,

    /// Run an action locally if workers cannot run it, instead of failing [default: true]
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) remote_local_fallback: Option<bool>,
}

impl WorkerOptions {
    /// The settings.
    ///
    /// # Errors
    /// If the path of this program cannot be determined.
    pub(crate) fn settings(&self) -> Result<WorkerSettings, Report> {
        let default = WorkerSettings::default();
        Ok(WorkerSettings {
            // Workers run this same program.
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
