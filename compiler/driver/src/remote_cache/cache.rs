//! The remote cache, configured by the settings, for the executor.
//!
//! A lookup happens just before an action would run. Uploads happen in the background, and the command waits for them
//! at its end, unless each action is to wait for its own upload. After a failure the server is not used for the rest of
//! the command, with one warning (see `finish`).

use std::fs;
use std::sync::{Arc, Mutex, PoisonError};

use mc_digest::digest::BlobDigest;
use mc_execute::lookup::store_failed;
use mc_execute::remote::{Found, RemoteResults};
use mc_ir::action::{ActionError, ActionNode, Content};
use mc_ir::output::{Output, Outputs};
use mc_ir::tags::Tags;
use mc_ir::work::WorkerStage;
use mc_remote::download::Fetching;
use mc_remote::error::RemoteError;
use mc_remote::function::DigestFunction;
use mc_remote::local_action::LocalAction;
use mc_remote::notes::Notes;
use mc_remote::notes::promised::Promised;
use mc_remote::remote::Remote;
use mc_remote::signing::Signatures;
use mc_remote::workers::Workers;
use mc_store::attester::{Attester, Trust};
use mc_store::local::store::LocalStore;

use crate::event::EventSink;
use crate::interrupt::Interrupt;
use crate::remote_cache::error::RemoteCacheError;
use crate::remote_cache::transport;
use crate::remote_cache::trust::{signatures, trust};
use crate::remote_cache::uploads::{Job, Uploads};
use crate::remote_cache::watch::Watch;
use crate::remote_cache::workers::RemoteWorkers;
use crate::settings::cache::CacheSettings;
use crate::settings::download::Download;
use crate::settings::remote::RemoteSettings;
use crate::settings::server::Server;
use crate::warning::RemoteFailure;

/// Maximum number of builds of a command when promised blobs are missing.
pub(crate) const MAX_TRIES: usize = 5;

/// Number of bytes of transferred blobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes downloaded.
    pub n_bytes_down: u64,
    /// Bytes uploaded.
    pub n_bytes_up: u64,
}

/// A remote cache in use.
pub struct RemoteCache {
    pub(crate) remote: Arc<Remote>,
    store: Arc<LocalStore>,
    settings: RemoteSettings,
    pub(super) interrupt: Arc<Interrupt>,
    /// True if it was unusable from the start, which was reported; its failures are not reported again.
    pub(super) is_absent: bool,
    pub(super) uploads: Option<Uploads>,
    pub(super) workers: Option<RemoteWorkers>,
    /// URL of workers that are not used, because their results are not signed.
    pub(super) unsigned_workers: Option<String>,
    trust: Trust,
    _watch: Option<Watch>,
    /// The reason for the first failure of an action that required the cache.
    pub(super) action_failure: Mutex<Option<String>>,
}

impl RemoteCache {
    /// Opens the remote cache of the settings; `None` if they name none.
    ///
    /// # Errors
    /// If the cache cannot be used and is required.
    pub fn open(
        settings: &CacheSettings,
        store: &Arc<LocalStore>,
        interrupt: &Arc<Interrupt>,
        events: &dyn EventSink,
    ) -> Result<Option<Self>, RemoteCacheError> {
        let CacheSettings { keys, remote: Some(settings) } = settings else { return Ok(None) };
        let transport = transport::open(settings, events)?;
        let is_absent = transport.is_absent();
        let signatures = signatures(keys, settings.upload)?;
        let executor = settings.executor.as_ref().map(Server::text);
        let trusted_workers = executor.filter(|_| settings.workers.is_trusted);
        let trust = trust(&signatures, trusted_workers.map(Workers::attester));
        let unsigned_workers = executor.filter(|address| !trust.accepts(&[Workers::attester(address)]));
        // Without trust in the workers, their promises do not count.
        let promising_workers = trusted_workers.filter(|_| matches!(trust, Trust::Only(_)));
        let notes = notes(settings, store, &signatures, promising_workers);
        let fetching = match settings.download {
            Download::All => Fetching::AtOnce,
            Download::Minimal | Download::Toplevel => Fetching::WhenRead,
        };
        let remote = Arc::new(Remote::new(transport, notes, fetching, signatures));
        let sends = settings.upload && !is_absent;
        let has_workers = !is_absent && unsigned_workers.is_none();
        Ok(Some(Self {
            store: Arc::clone(store),
            settings: settings.clone(),
            interrupt: Arc::clone(interrupt),
            is_absent,
            uploads: sends.then(|| Uploads::start(&remote, store, interrupt, settings.n_askers)),
            workers: if has_workers { RemoteWorkers::open(settings)? } else { None },
            unsigned_workers: unsigned_workers.map(str::to_owned),
            trust,
            _watch: (settings.required && !is_absent).then(|| Watch::begin(&remote)),
            action_failure: Mutex::default(),
            remote,
        }))
    }

    /// The attesters whose results count, locally and remotely.
    pub(crate) fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The name of the cache, for messages.
    pub fn name(&self) -> String {
        self.remote.name()
    }

    /// The settings of the cache.
    pub fn settings(&self) -> &RemoteSettings {
        &self.settings
    }

    /// Returns true if results are uploaded.
    pub fn sends(&self) -> bool {
        self.uploads.is_some()
    }

    /// Requests the digest function of the cache.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn function(&self) -> Result<DigestFunction, RemoteError> {
        self.remote.function()
    }

    /// Requests the capabilities of the cache, for display.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn details(&self) -> Result<Vec<(&'static str, String)>, RemoteError> {
        self.remote.details()
    }

    /// The failure of a required cache.
    pub(super) fn required(&self, reason: &str) -> RemoteFailure {
        RemoteFailure::Required { server: self.name(), reason: self.without_name(reason) }
    }

    /// The reason without the URL at its beginning, for a sentence that contains the URL already.
    pub(super) fn without_name(&self, reason: &str) -> String {
        reason.strip_prefix(&format!("{}: ", self.name())).unwrap_or(reason).to_owned()
    }

    /// Number of bytes of downloaded and uploaded blobs.
    pub(crate) fn traffic(&self) -> Traffic {
        let (n_bytes_down, n_bytes_up) = self.remote.traffic();
        Traffic { n_bytes_down, n_bytes_up }
    }

    /// Returns true if a requested output stays in the remote cache.
    ///
    /// * `path`: its path below `mc-out/` if it were downloaded
    pub(crate) fn leaves(&self, path: &str) -> bool {
        let RemoteSettings { download, download_regex, .. } = &self.settings;
        *download == Download::Minimal && !download_regex.iter().any(|regex| regex.is_match(path))
    }

    /// Returns true if a failed build should be retried: a promised blob is missing, and the next attempt makes it
    /// here.
    ///
    /// * `n_lost`: the value of [`Remote::n_lost`] before the build
    /// * `n_tries`: number of builds so far
    pub(crate) fn is_worth_another_try(&self, n_lost: usize, n_tries: usize) -> bool {
        if self.remote.n_lost() == n_lost || self.is_over() {
            return false;
        }
        if n_tries >= MAX_TRIES {
            self.remote.give_up();
        } else {
            // The circuit breaker keeps the reason for which it cannot be queried.
            drop(self.remote.look_for_losses(&*self.store));
        }
        n_tries <= MAX_TRIES
    }
}

impl RemoteCache {
    /// Converts a failure of the cache to one of the build if the cache is required, and otherwise to `otherwise`.
    fn failed<T>(&self, error: RemoteError, otherwise: T) -> Result<T, ActionError> {
        match error {
            // The local disk is the cause, and no build can continue without it.
            RemoteError::Store(error) => Err(store_failed(error)),
            error if self.settings.required => {
                let reason = self.remote.failure().unwrap_or_else(|| error.to_string());
                let mut first = self.action_failure.lock().unwrap_or_else(PoisonError::into_inner);
                first.get_or_insert_with(|| reason.clone());
                Err(ActionError::failed(self.required(&reason).to_string())
                    .with_help("Omit `--remote-cache-required` to build without it"))
            }
            // The circuit breaker keeps the reason for the warning.
            _ => Ok(otherwise),
        }
    }
}

impl RemoteResults for RemoteCache {
    fn n_askers(&self) -> usize {
        self.settings.n_askers
    }

    fn is_over(&self) -> bool {
        self.settings.required && !self.is_absent && self.remote.has_failed()
    }

    fn find(
        &self,
        node: &Arc<ActionNode>,
        inputs: &[Output],
        source: &dyn Fn(usize) -> Option<Content>,
    ) -> Result<Option<Found>, ActionError> {
        if self.is_absent {
            return Ok(None);
        }
        let made = LocalAction { node, inputs, source };
        let found = if self.settings.accept {
            self.remote.lookup(&*self.store, &made)
        } else {
            // A later upload needs the names of sources, which only this process has.
            self.remote.key(&*self.store, &made).map(|_| None)
        };
        match found {
            Ok(found) => Ok(found),
            Err(error) => self.failed(error, None),
        }
    }

    fn execute(
        &self,
        node: &Arc<ActionNode>,
        tags: Tags,
        inputs: &[Output],
        source: &dyn Fn(usize) -> Option<Content>,
        on_stage: &dyn Fn(WorkerStage),
    ) -> Result<Option<Found>, ActionError> {
        let Some(workers) = &self.workers else { return Ok(None) };
        let is_cancelled = || self.interrupt.is_wanted() || self.is_over();
        let made = LocalAction { node, inputs, source };
        let outputs = workers.execute(&self.remote, &self.store, &made, tags, on_stage, &is_cancelled)?;
        let attester: Option<Attester> =
            self.settings.executor.as_ref().map(|server| Workers::attester(server.text()));
        Ok(outputs.map(|outputs| (outputs, attester)))
    }

    fn bring(&self, outputs: &[Output]) -> Result<(), ActionError> {
        let blobs: Vec<BlobDigest> = outputs.iter().flat_map(|output| output.parts().to_vec()).collect();
        self.remote.bring(&*self.store, &blobs).or_else(|error| self.failed(error, ()))
    }

    fn made(&self, node: &Arc<ActionNode>, inputs: &[Output], outputs: &Outputs) {
        let Some(uploads) = &self.uploads else { return };
        let job = job(node, inputs, outputs);
        if self.settings.sends_behind {
            uploads.made(job);
        } else if !self.interrupt.is_wanted() {
            uploads.send_made(&job);
        }
    }

    fn had(&self, node: &Arc<ActionNode>, inputs: &[Output], outputs: &Outputs) {
        let Some(uploads) = &self.uploads else { return };
        let job = job(node, inputs, outputs);
        if self.settings.sends_behind {
            uploads.had(job);
        } else if !self.interrupt.is_wanted() {
            uploads.send_had(job);
        }
    }
}

fn job(node: &Arc<ActionNode>, inputs: &[Output], outputs: &Outputs) -> Job {
    Job { node: Arc::clone(node), inputs: inputs.to_vec(), outputs: outputs.clone() }
}

/// Opens the records of the server's promises. If they cannot be stored, they are created anew each time.
///
/// * `workers`: the URL of workers whose promises count, too
fn notes(
    settings: &RemoteSettings,
    store: &LocalStore,
    signatures: &Signatures,
    workers: Option<&str>,
) -> Notes {
    let mut server = format!("{} {} {}", settings.server.text(), settings.instance, signatures.whose());
    if let Some(workers) = workers {
        server = format!("{server} and workers of {workers}");
    }
    let folder = store.root().join("remote");
    drop(fs::create_dir_all(&folder));
    let mut notes = Notes::open(&folder, &server);
    if !settings.accept {
        // Earlier promises are from that server, too; new promises of workers are not.
        notes.promised = Promised::open(None);
    }
    notes
}
