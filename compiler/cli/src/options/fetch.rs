//! Options for fetching files of declared origins.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use mc_driver::settings::fetch::{FetchSettings, PATIENCE};
use mc_fetch::origins::hugging_face;
use mc_fetch::url::Url;

use crate::options::duration::stall_limit;
use crate::options::environment::{access, variable};

/// Options for fetching files of declared origins.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Fetch options")]
pub(crate) struct FetchOptions {
    /// Use no network: do not download files, and do not use a remote cache
    #[arg(long, global = true)]
    pub(crate) offline: bool,

    /// Program that prints HTTP headers for a server, as for Bazel [default: $MC_CREDENTIAL_HELPER]
    #[arg(long, global = true, value_name = "PROGRAM")]
    pub(crate) credential_helper: Option<PathBuf>,

    /// Give up on a server after this many seconds of silence [default: 60]
    #[arg(long, global = true, value_name = "SECONDS", value_parser = stall_limit)]
    pub(crate) fetch_timeout: Option<Duration>,
}

impl FetchOptions {
    /// The settings.
    pub(crate) fn settings(&self) -> FetchSettings {
        let endpoint = variable("HF_ENDPOINT");
        FetchSettings {
            offline: self.offline,
            hugging_face: Url::parse(endpoint.as_deref().unwrap_or(hugging_face::ENDPOINT)),
            idle: self.fetch_timeout.unwrap_or(PATIENCE),
            access: access(self.credential_helper.as_deref()),
        }
    }
}
