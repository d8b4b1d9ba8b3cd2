//! Uploads to the remote cache behind the build: results that were made, and those that were here before, which are
//! asked for first.
//!
//! Asking is waiting, so many ask at a time; sending takes cores and the line, so few send.

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

/// Uploads that go on at a time: enough to hide the way to a server, few enough to leave the build its cores.
const N_UPLOADERS: usize = 8;

/// An action and what it gave.
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

/// Amount of work that is left.
pub(crate) struct Waiting {
    /// Results that are sent.
    pub(crate) n_uploads: usize,
    /// Their bytes, of which the server may have some.
    pub(crate) n_bytes: u64,
    /// Results that the server is asked for.
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
    /// Starts the threads that send and ask.
    ///
    /// * `n_askers`: questions at a time
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
        // The last of these to end ends those above.
        let (asker, lacking) = (Arc::clone(&sender), made.clone());
        threads
            .extend(serve(n_askers, interrupt, to_ask, move |job| asker.ask(job, |job| lacking.send(job))));
        Self { sender, made, had, threads }
    }

    /// Sends a result, behind the build.
    pub(crate) fn made(&self, job: Job) {
        self.sender.queue(job, |job| self.made.send(job));
    }

    /// Sends a result, and waits for it.
    pub(crate) fn send_made(&self, job: &Job) {
        self.sender.begun(job);
        self.sender.upload(job);
    }

    /// Sends a result behind the build, if the server has none.
    pub(crate) fn had(&self, job: Job) {
        self.sender.n_asked.fetch_add(1, Ordering::Relaxed);
        if self.had.send(job).is_err() {
            self.sender.n_asked.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Sends a result, if the server has none, and waits for it.
    pub(crate) fn send_had(&self, job: Job) {
        self.sender.n_asked.fetch_add(1, Ordering::Relaxed);
        self.sender.ask(job, |job| {
            self.sender.upload(&job);
            Ok(())
        });
    }

    /// The work that is left.
    pub(crate) fn waiting(&self) -> Waiting {
        let Uploader { n_uploads, n_bytes, n_asked, .. } = &*self.sender;
        Waiting {
            n_uploads: n_uploads.load(Ordering::Relaxed),
            n_bytes: n_bytes.load(Ordering::Relaxed),
            n_asked: n_asked.load(Ordering::Relaxed),
        }
    }

    /// Ends it, and says why the first failed that did. Whoever interrupted the build does not want to wait for what is
    /// left to send; a server keeps no part of a blob, and results come last.
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

/// Threads that work on what comes, until nothing more can come or the command is interrupted. Fewer than wanted are
/// enough.
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
    /// Asks for a result, and sends it when there is none.
    fn ask(&self, job: Job, send: impl FnOnce(Job) -> Result<(), SendError<Job>>) {
        let lacks = self.with(&job, |made| self.remote.lacks(&*self.store, made, &job.outputs));
        // Counted there before it is not counted here any more, so that neither is all for a moment.
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
