//! How a team's cache is used: what the options say, and else the workspace.

use std::path::PathBuf;

use regex::Regex;

use crate::options::{Download, GlobalOptions};
use crate::report::Report;
use crate::wire::team_trust::Keys;

/// Look-ups that wait for an answer at a time: what hides the way to a server on the other side of the world.
const N_ASKERS: usize = 32;

/// What the workspace says about its team's cache.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declared {
    /// Where it is.
    pub(crate) address: Option<String>,
    /// Which of the caches that a server keeps.
    pub(crate) instance: Option<String>,
    /// Whose workers do steps.
    pub(crate) executor: Option<String>,
    /// Whether results made here are sent there.
    pub(crate) upload: bool,
    /// Whether a build fails when it does.
    pub(crate) required: bool,
    /// Which blobs are fetched.
    pub(crate) download: Option<Download>,
    /// Whether what shrinks travels compressed.
    pub(crate) compression: bool,
    /// Whether large blobs travel as the chunks that are new, where the workspace says so.
    pub(crate) chunking: Option<bool>,
    /// The public keys of which one must have signed a result.
    pub(crate) require_signed: Option<PathBuf>,
    /// Whether it names a second cache.
    pub(crate) has_more: bool,
}

/// How a team's cache is used.
#[derive(Clone, Debug)]
pub(crate) struct TeamSettings {
    /// Where it is.
    pub(crate) address: String,
    /// Which of the caches that a server keeps; empty for the one without a name.
    pub(crate) instance: String,
    /// Whose workers do steps.
    pub(crate) executor: Option<String>,
    /// Whether results made here are sent there.
    pub(crate) upload: bool,
    /// Whether the build goes on while they are sent.
    pub(crate) sends_behind: bool,
    /// Whether results are taken from there.
    pub(crate) accept: bool,
    /// Whether a build fails when it does.
    pub(crate) required: bool,
    /// Which blobs are fetched.
    pub(crate) download: Download,
    /// Paths of outputs that are fetched and written, wherever the others stay.
    pub(crate) download_regex: Vec<Regex>,
    /// Whether what shrinks travels compressed.
    pub(crate) compression: bool,
    /// Whether large blobs travel as the chunks that are new.
    pub(crate) chunking: bool,
    /// Look-ups at a time.
    pub(crate) n_askers: usize,
    /// The key that signs results, and the keys of which one must have signed them.
    pub(crate) keys: Keys,
}

impl TeamSettings {
    /// What holds; none where no cache is named.
    pub(crate) fn of(options: &GlobalOptions, declared: &Declared) -> Result<Option<Self>, Report> {
        // What the workspace says of its own server holds for no other. What its team asks of results, and whether a
        // build may go on without a cache, does.
        let of_workspace = Some(declared).filter(|_| options.remote_cache.is_none());
        let says = |what: fn(&Declared) -> bool| of_workspace.is_some_and(what);
        let executor = options.remote_executor.as_ref();
        let executor = executor.or(of_workspace.and_then(|declared| declared.executor.as_ref()));
        let executor = executor.filter(|address| !address.is_empty());
        let address = options.remote_cache.as_ref().filter(|address| !address.is_empty());
        let address = address.or(of_workspace.and_then(|declared| declared.address.as_ref()));
        // Workers read from and write to a cache; without another it is that of their own server.
        let address = address.or(executor);
        let required = options.remote_cache_required.unwrap_or(declared.required);
        let Some(address) = address.filter(|address| !address.is_empty()) else {
            if options.remote_cache_required == Some(true) {
                return Err(Report::usage(
                    "There is no remote cache, and `--remote-cache-required` asks for one",
                )
                .hint("Name it with `--remote-cache URL`, or in workspace.kdl: cache { remote \"URL\" }"));
            }
            return Ok(None);
        };
        if options.remote_cache.is_none() && declared.has_more {
            return Err(Report::usage("Cannot use the remote cache of workspace.kdl")
                .because("It names several caches; expected one")
                .hint("A server that asks others in turn, such as buildbox-casd, can stand before several"));
        }
        let keys = Keys::of(options, declared)?;
        // Whoever has the key with which results are signed is there to make and send them.
        let upload = options
            .remote_upload_local_results
            .unwrap_or(says(|declared| declared.upload) || keys.signing.is_some());
        let instance = of_workspace.and_then(|declared| declared.instance.as_ref());
        let instance = options.remote_instance_name.as_ref().or(instance);
        Ok(Some(Self {
            address: address.clone(),
            executor: executor.cloned(),
            instance: instance.cloned().unwrap_or_default(),
            upload,
            sends_behind: options.remote_cache_async.unwrap_or(true),
            accept: options.remote_accept_cached.unwrap_or(true),
            required,
            download: options.download().or(declared.download).unwrap_or_default(),
            download_regex: options.remote_download_regex.clone(),
            compression: options.remote_cache_compression.unwrap_or(says(|declared| declared.compression)),
            chunking: options
                .remote_cache_chunking
                .or(of_workspace.and_then(|declared| declared.chunking))
                .unwrap_or(true),
            n_askers: options.remote_max_connections.map_or(N_ASKERS, usize::from),
            keys,
        }))
    }
}
