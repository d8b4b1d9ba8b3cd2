//! Options for the remote cache.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use mc_driver::settings::cache::CacheChoices;
use mc_driver::settings::download::Download;
use mc_driver::settings::keys::{Keys, PrivateKey};
use mc_driver::settings::remote::{RemoteChoices, ServerChoice};
use mc_fetch::secret::Secret;
use mc_remote::signing::is_pem;
use regex::Regex;

use crate::options::environment::variable;
use crate::report::Report;

/// The variable with the key that signs results, or with its path.
const KEY_VARIABLE: &str = "MC_REMOTE_SIGNING_KEY";

/// Options for the remote cache.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Remote cache options")]
pub(crate) struct RemoteCacheOptions {
    /// Address of the remote cache, such as `grpcs://host`, `https://host/path`, `s3://bucket` or `file:///folder`;
    /// empty for none [default: the one in workspace.kdl]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) remote_cache: Option<String>,

    /// Name of the cache on a gRPC server that hosts several [default: empty]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) remote_instance_name: Option<String>,

    /// Upload the results of actions that ran on this machine [default: false]
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) remote_upload_local_results: Option<bool>,

    /// Upload results in the background, and wait for the last ones at the end; otherwise each action waits for its
    /// upload [default: true]
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) remote_cache_async: Option<bool>,

    /// Use results from the remote cache [default: true]
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) remote_accept_cached: Option<bool>,

    /// Outputs to download: those that a local action reads (`minimal`), also those of the requested targets
    /// (`toplevel`), or all [default: toplevel]
    #[arg(long, global = true, value_name = "WHICH", overrides_with_all = ["remote_download_minimal", "remote_download_toplevel", "remote_download_all"])]
    pub(crate) remote_download_outputs: Option<DownloadWord>,

    /// Short for `--remote-download-outputs=minimal`
    #[arg(long, global = true, hide = true, overrides_with_all = ["remote_download_toplevel", "remote_download_all"])]
    pub(crate) remote_download_minimal: bool,

    /// Short for `--remote-download-outputs=toplevel`
    #[arg(long, global = true, hide = true, overrides_with = "remote_download_all")]
    pub(crate) remote_download_toplevel: bool,

    /// Short for `--remote-download-outputs=all`
    #[arg(long, global = true, hide = true)]
    pub(crate) remote_download_all: bool,

    /// Also download and write the outputs whose path below mc-out/ matches, even with `minimal`; repeatable
    #[arg(long, global = true, value_name = "REGEX", value_parser = regex)]
    pub(crate) remote_download_regex: Vec<Regex>,

    /// Fail if the remote cache fails, instead of continuing without it [default: false]
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) remote_cache_required: Option<bool>,

    /// Fail if an action is in no cache and would have to run [default: false]
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) remote_require_cached: Option<bool>,

    /// Verify downloads, which mc always does
    #[arg(long, global = true, hide = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = verified)]
    pub(crate) remote_verify_downloads: Option<bool>,

    /// Private key that signs uploaded results (Ed25519, PEM) [default: $MC_REMOTE_SIGNING_KEY]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) remote_signing_key: Option<PathBuf>,

    /// Public keys, one of which must have signed a result (Ed25519, PEM) [default: those in workspace.kdl]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) remote_require_signed: Option<PathBuf>,
}

/// The outputs of cached results to download.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DownloadWord {
    /// Outputs that an action on this machine reads.
    Minimal,
    /// Also the outputs of the requested targets.
    Toplevel,
    /// All outputs.
    All,
}

impl From<DownloadWord> for Download {
    fn from(word: DownloadWord) -> Self {
        match word {
            DownloadWord::Minimal => Self::Minimal,
            DownloadWord::Toplevel => Self::Toplevel,
            DownloadWord::All => Self::All,
        }
    }
}

impl RemoteCacheOptions {
    /// The choices of the options.
    ///
    /// * `executor`: the address of the server whose workers run actions, as typed
    ///
    /// # Errors
    /// If a key was given instead of its path.
    pub(crate) fn choices(&self, executor: Option<&str>) -> Result<CacheChoices, Report> {
        let remote = RemoteChoices {
            server: choice(self.remote_cache.as_deref()),
            executor: choice(executor),
            instance: self.remote_instance_name.clone(),
            upload: self.remote_upload_local_results,
            sends_behind: self.remote_cache_async,
            accept: self.remote_accept_cached,
            required: self.remote_cache_required,
            download: self.download(),
            download_regex: self.remote_download_regex.clone(),
            ..RemoteChoices::default()
        };
        let keys = Keys { signing: self.signing_key()?, require_signed: self.remote_require_signed.clone() };
        Ok(CacheChoices { keys, remote })
    }

    fn download(&self) -> Option<Download> {
        match self {
            Self { remote_download_minimal: true, .. } => Some(Download::Minimal),
            Self { remote_download_toplevel: true, .. } => Some(Download::Toplevel),
            Self { remote_download_all: true, .. } => Some(Download::All),
            _ => self.remote_download_outputs.map(Into::into),
        }
    }

    fn signing_key(&self) -> Result<Option<PrivateKey>, Report> {
        let Some(path) = &self.remote_signing_key else {
            let value = variable(KEY_VARIABLE).map(|value| Secret::new(&value));
            return Ok(value.map(|value| PrivateKey::Variable { name: KEY_VARIABLE, value }));
        };
        // The message must not contain the key.
        if path.to_str().is_some_and(is_pem) {
            return Err(Report::usage(
                "`--remote-signing-key` takes the path of a file, and was given a key",
            )
            .hint(format!(
                "Other programs see what is on the command line; `{KEY_VARIABLE}` takes a key itself"
            )));
        }
        Ok(Some(PrivateKey::File(path.clone())))
    }
}

/// The choice of a server; an empty address means none.
fn choice(address: Option<&str>) -> ServerChoice {
    match address {
        None => ServerChoice::Declared,
        Some("") => ServerChoice::Off,
        Some(address) => ServerChoice::At(address.to_owned()),
    }
}

fn verified(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Err("all that comes is checked, always: nothing else could be believed".to_owned()),
        _ => Err("expected `true`".to_owned()),
    }
}

fn regex(text: &str) -> Result<Regex, String> {
    // The library repeats the expression on separate lines; the last line has the reason.
    let reason = |error: regex::Error| {
        let reported = error.to_string();
        reported.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
    };
    Regex::new(text).map_err(reason)
}
