//! Background uploads to the remote cache: new results, and older results that the server lacks.
//!
//! Checking for presence means waiting, so many checks run in parallel; an upload uses cores and bandwidth, so few run
//! in parallel.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SendError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use mc_execute::services::source_content;
use mc_ir::action::{ActionNode, Input};
use mc_ir::output::{Output, Outputs};
use mc_remote::error::RemoteError;
use mc_remote::local_action::LocalAction;
use mc_remote::remote::Remote;
use mc_store::local::store::LocalStore;

use crate::interrupt::Interrupt;

/// Number of parallel uploads: enough to hide the latency of a server, few enough to leave the build its cores.
const N_UPLOADERS: usize = 8;

/// An action with its result.
pub(crate) struct Job {
    pub(crate) node: Arc<ActionNode>,
    pub(crate) inputs: Vec<Output>,
    pub(crate) outputs: Outputs,
}

/// Uploads of a command.
pub(crate) struct Uploads {
    sender: Arc<Uploader>,
    made: Sender<Job>,
    had: Sender<Job>,
    threads: Vec<JoinHandle<()>>,
}

/// Remaining work.
pub(crate) struct Waiting {
    /// Number of results being uploaded.
    pub(crate) n_uploads: usize,
    /// Their bytes, of which the server may have some already.
    pub(crate) n_bytes: u64,
    /// Number of results whose presence on the server is being checked.
    pub(crate) n_asked: usize,
}

struct Uploader {
    remote: Arc<Remote>,
    store: Arc<LocalStore>,
    interrupt: Arc<Interrupt>,
    n_uploads: AtomicUsize,
    n_bytes: AtomicU64,
    n_asked: AtomicUsize,
    failure: Mutex<Option<String>>,
}

impl Uploads {
    /// Starts the threads that upload and check.
    ///
    /// * `n_askers`: number of parallel checks
    pub(crate) fn start(
        remote: &Arc<Remote>,
        store: &Arc<LocalStore>,
        interrupt: &Arc<Interrupt>,
        n_askers: usize,
    ) -> Self {
        let sender = Arc::new(Uploader {
            remote: Arc::clone(remote),
            store: Arc::clone(store),
            interrupt: Arc::clone(interrupt),
            n_uploads: AtomicUsize::new(0),
            n_bytes: AtomicU64::new(0),
            n_asked: AtomicUsize::new(0),
            failure: Mutex::default(),
        });
        let ((made, to_send), (had, to_ask)) = (channel(), channel());
        let mut threads = Vec::new();
        let uploader = Arc::clone(&sender);
        threads.extend(serve(N_UPLOADERS, interrupt, to_send, move |job| uploader.upload(&job)));
        // When the last of these ends, those above end, too.
        let (asker, lacking) = (Arc::clone(&sender), made.clone());
        threads
            .extend(serve(n_askers, interrupt, to_ask, move |job| asker.ask(job, |job| lacking.send(job))));
        Self { sender, made, had, threads }
    }

    /// Uploads a result in the background.
    pub(crate) fn made(&self, job: Job) {
        self.sender.queue(job, |job| self.made.send(job));
    }

    /// Uploads a result, and waits for completion.
    pub(crate) fn send_made(&self, job: &Job) {
        self.sender.begun(job);
        self.sender.upload(job);
    }

    /// Uploads a result in the background if the server lacks it.
    pub(crate) fn had(&self, job: Job) {
        self.sender.n_asked.fetch_add(1, Ordering::Relaxed);
        if self.had.send(job).is_err() {
            self.sender.n_asked.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Uploads a result if the server lacks it, and waits for completion.
    pub(crate) fn send_had(&self, job: Job) {
        self.sender.n_asked.fetch_add(1, Ordering::Relaxed);
        self.sender.ask(job, |job| {
            self.sender.upload(&job);
            Ok(())
        });
    }

    /// The remaining work.
    pub(crate) fn waiting(&self) -> Waiting {
        let Uploader { n_uploads, n_bytes, n_asked, .. } = &*self.sender;
        Waiting {
            n_uploads: n_uploads.load(Ordering::Relaxed),
            n_bytes: n_bytes.load(Ordering::Relaxed),
            n_asked: n_asked.load(Ordering::Relaxed),
        }
    }

    /// Ends the uploads, and returns the reason for the first failure. After an interrupt it does not wait for the
    /// remaining uploads: a server keeps no partial blobs, and results are uploaded last.
    pub(crate) fn finish(self) -> Option<String> {
        let Self { sender, made, had, threads } = self;
        drop((made, had));
        if !sender.interrupt.is_wanted() {
            for thread in threads {
                drop(thread.join());
            }
        }
        sender.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Starts threads that process jobs until no more can arrive or the command is interrupted. If only some threads can be
/// started, those suffice.
fn serve(
    n_threads: usize,
    interrupt: &Arc<Interrupt>,
    jobs: Receiver<Job>,
    work: impl Fn(Job) + Send + Sync + 'static,
) -> Vec<JoinHandle<()>> {
    let (jobs, work) = (Arc::new(Mutex::new(jobs)), Arc::new(work));
    let serve = || {
        let (jobs, work, interrupt) = (Arc::clone(&jobs), Arc::clone(&work), Arc::clone(interrupt));
        move || {
            loop {
                let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok(job) = job else { return };
                if interrupt.is_wanted() {
                    return;
                }
                work(job);
            }
        }
    };
    let mut threads = vec![thread::spawn(serve())];
    threads.extend((1..n_threads).map_while(|_| thread::Builder::new().spawn(serve()).ok()));
    threads
}

impl Uploader {
    /// Checks whether the server has a result, and queues its upload if not.
    fn ask(&self, job: Job, send: impl FnOnce(Job) -> Result<(), SendError<Job>>) {
        let lacks = self.with(&job, |made| self.remote.lacks(&*self.store, made, &job.outputs));
        // Added to one count before it is removed from the other, so that the total never seems to be zero in between.
        match lacks {
            Ok(true) => self.queue(job, send),
            Ok(false) => {}
            Err(error) => self.failed(&error),
        }
        self.n_asked.fetch_sub(1, Ordering::Relaxed);
    }

    fn queue(&self, job: Job, send: impl FnOnce(Job) -> Result<(), SendError<Job>>) {
        self.begun(&job);
        if let Err(SendError(job)) = send(job) {
            self.ended(&job);
        }
    }

    fn upload(&self, job: &Job) {
        if let Err(error) = self.with(job, |made| self.remote.upload(&*self.store, made, &job.outputs)) {
            self.failed(&error);
        }
        self.ended(job);
    }

    fn with<T>(&self, job: &Job, work: impl FnOnce(&LocalAction<'_>) -> T) -> T {
        let source = |index| match job.node.inputs.get(index) {
            Some(Input::Source(source)) => source_content(source).ok(),
            _ => None,
        };
        work(&LocalAction { node: &job.node, inputs: &job.inputs, source: &source })
    }

    fn failed(&self, error: &RemoteError) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert(self.remote.send_failure().unwrap_or_else(|| error.to_string()));
    }

    fn begun(&self, job: &Job) {
        self.n_uploads.fetch_add(1, Ordering::Relaxed);
        self.n_bytes.fetch_add(n_bytes(job), Ordering::Relaxed);
    }

    fn ended(&self, job: &Job) {
        self.n_uploads.fetch_sub(1, Ordering::Relaxed);
        self.n_bytes.fetch_sub(n_bytes(job), Ordering::Relaxed);
    }
}

fn n_bytes(job: &Job) -> u64 {
    job.outputs.values().map(Output::n_bytes).sum()
}
