//! The team's cache as the options and the workspace name it, for the executor.
//!
//! Looking up happens where an action would run; sending happens behind the build, and the command waits for it at its
//! end. A server that fails is left alone for the rest of the command, with one warning.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use mc_execute::remote::RemoteResults;
use mc_ir::action::{ActionError, ActionNode, Content};
use mc_ir::output::{Output, Outputs};
use mc_remote::error::RemoteError;
use mc_remote::function::DigestFunction;
use mc_remote::known::Known;
use mc_remote::remote::{Made, Remote};
use mc_store::local::store::LocalStore;

use crate::interrupt;
use crate::invocation::Invocation;
use crate::report::Report;
use crate::wire::engine::store_report;
use crate::wire::team_transport;
use crate::workspace::cache_dir;

/// Uploads that go on at a time: enough to hide the way to a server, few enough to leave the build its cores.
const N_UPLOADERS: usize = 4;

/// What the workspace says about its team's cache.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declared {
    /// Where it is.
    pub(crate) address: Option<String>,
    /// Whether results made here are sent there.
    pub(crate) upload: bool,
    /// Whether it asks for what is not there: a second cache, or an instance of a gRPC server.
    pub(crate) has_more: bool,
}

/// A team's cache in use.
pub(crate) struct TeamCache {
    remote: Arc<Remote>,
    store: LocalStore,
    is_required: bool,
    uploads: Option<Uploads>,
    /// What was not believed, the first time.
    lie: Mutex<Option<String>>,
}

struct Uploads {
    jobs: Sender<Job>,
    workers: Vec<JoinHandle<()>>,
    state: Arc<UploadState>,
}

#[derive(Default)]
struct UploadState {
    n_waiting: AtomicUsize,
    failure: Mutex<Option<String>>,
}

struct Job {
    node: Arc<ActionNode>,
    inputs: Vec<Output>,
    outputs: Outputs,
}

impl TeamCache {
    /// The cache that the options name, or else the workspace; none where neither does, or it cannot be used and the
    /// build may go on without.
    pub(crate) fn open(invocation: &Invocation, declared: &Declared) -> Result<Option<Self>, Report> {
        let options = &invocation.options;
        let address = options.remote_cache.as_ref().or(declared.address.as_ref());
        let Some(address) = address.filter(|address| !address.is_empty()) else {
            if options.remote_cache_required {
                return Err(Report::usage(
                    "There is no remote cache, and `--remote-cache-required` asks for one",
                )
                .hint("Name it with `--remote-cache URL`, or in workspace.kdl: cache { remote \"URL\" }"));
            }
            return Ok(None);
        };
        if options.remote_cache.is_none() && declared.has_more {
            return Err(Report::usage("Cannot use the remote cache of workspace.kdl")
                .because("It names several caches or an `instance`; expected one address")
                .hint("One cache is asked, and instances are for servers that speak gRPC, which are not yet known"));
        }
        let Some(transport) = team_transport::open(invocation, address)? else { return Ok(None) };
        let dir = cache_dir(options)?;
        let open = || LocalStore::open(&dir).map_err(|error| store_report(&error));
        let store = open()?;
        let known = match transport.function() {
            DigestFunction::Blake3 => Known::nothing(),
            DigestFunction::Sha256 => Known::open(&dir.join("sha256")),
        };
        let remote = Arc::new(Remote::new(transport, known));
        let uploads = (options.remote_upload_local_results || declared.upload)
            .then(|| Uploads::start(&remote, &open))
            .transpose()?;
        let is_required = options.remote_cache_required;
        Ok(Some(Self { remote, store, is_required, uploads, lie: Mutex::default() }))
    }

    /// Waits for what is being sent, and says what went wrong.
    pub(crate) fn finish(&mut self, invocation: &Invocation) -> Result<(), Report> {
        let mut not_sent = None;
        if let Some(Uploads { jobs, workers, state }) = self.uploads.take() {
            drop(jobs);
            let n_waiting = state.n_waiting.load(Ordering::Relaxed);
            if n_waiting > 0 && !interrupt::cancelled().load(Ordering::Relaxed) {
                let name = self.remote.name();
                invocation.streams.note(&format!("waiting for {n_waiting} uploads to {name}\n"));
            }
            for worker in workers {
                drop(worker.join());
            }
            not_sent = state.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        let name = self.remote.name();
        let not_asked = self.remote.failure();
        let lie = self.lie.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(lie) = lie {
            invocation.warn(&format!("{lie}; it was made here instead"));
        }
        // Whoever does not answer takes nothing either: that is one thing to say.
        let failure = match (not_asked, not_sent) {
            (Some(reason), _) => format!("The remote cache {name} was left alone after it failed: {reason}"),
            (None, Some(reason)) => {
                format!("The remote cache {name} does not take what was made here: {reason}")
            }
            (None, None) => return Ok(()),
        };
        if self.is_required {
            return Err(
                Report::failed(failure).hint("Leave `--remote-cache-required` out to go on without it")
            );
        }
        invocation.warn(&failure);
        Ok(())
    }
}

impl Uploads {
    fn start(remote: &Arc<Remote>, open: &dyn Fn() -> Result<LocalStore, Report>) -> Result<Self, Report> {
        let (jobs, waiting) = channel();
        let waiting: Arc<Mutex<Receiver<Job>>> = Arc::new(Mutex::new(waiting));
        let state = Arc::new(UploadState::default());
        let mut workers = Vec::new();
        for _ in 0..N_UPLOADERS {
            let (remote, store) = (Arc::clone(remote), open()?);
            let (waiting, state) = (Arc::clone(&waiting), Arc::clone(&state));
            workers.push(std::thread::spawn(move || {
                loop {
                    let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(job) = job else { return };
                    // Whoever interrupted the build does not want to wait for what it left to send.
                    if interrupt::cancelled().load(Ordering::Relaxed) {
                        return;
                    }
                    state.upload(&remote, &store, &job);
                }
            }));
        }
        Ok(Self { jobs, workers, state })
    }
}

impl UploadState {
    fn upload(&self, remote: &Remote, store: &LocalStore, job: &Job) {
        // Whatever a source's digest is on the server's side, it was computed when the result was looked up.
        let made = Made { node: &job.node, inputs: &job.inputs, source: &|_| None };
        if let Err(error) = remote.upload(store, &made, &job.outputs) {
            let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            let reason = remote.send_failure().unwrap_or_else(|| error.to_string());
            failure.get_or_insert(reason);
        }
        self.n_waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl RemoteResults for TeamCache {
    fn find(
        &self,
        node: &Arc<ActionNode>,
        inputs: &[Output],
        source: &dyn Fn(usize) -> Option<Content>,
    ) -> Result<Option<Outputs>, ActionError> {
        match self.remote.lookup(&self.store, &Made { node, inputs, source }) {
            Ok(found) => Ok(found),
            Err(error) if self.is_required => {
                let reason = self.remote.failure().unwrap_or_else(|| error.to_string());
                Err(ActionError::failed(format!("The remote cache {} failed: {reason}", self.remote.name()))
                    .with_help("Leave `--remote-cache-required` out to build without it"))
            }
            Err(RemoteError::Store(error)) => Err(ActionError::failed(error)),
            Err(error @ RemoteError::Lie { .. }) => {
                let mut lie = self.lie.lock().unwrap_or_else(PoisonError::into_inner);
                lie.get_or_insert_with(|| error.to_string());
                Ok(None)
            }
            // The breaker remembers what the warning will say.
            Err(_) => Ok(None),
        }
    }

    fn made(&self, node: &Arc<ActionNode>, inputs: &[Output], outputs: &Outputs) {
        let Some(uploads) = &self.uploads else { return };
        let job = Job { node: Arc::clone(node), inputs: inputs.to_vec(), outputs: outputs.clone() };
        uploads.state.n_waiting.fetch_add(1, Ordering::Relaxed);
        if uploads.jobs.send(job).is_err() {
            uploads.state.n_waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
