//! Polls a required cache while actions run. Running actions make no requests, and their results are useless if the
//! cache is gone.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use mc_execute::running::n_running;
use mc_remote::remote::Remote;

/// Interval between polls: short compared to one poll of a server that refuses connections.
const PAUSE: Duration = Duration::from_secs(1);

/// Polls the cache until it is dropped.
pub(crate) struct Watch {
    _end: Sender<()>,
}

impl Watch {
    /// Starts polling. Without a thread, the build learns of a failure from its next request.
    pub(crate) fn begin(remote: &Arc<Remote>) -> Self {
        let (end, ended) = channel();
        let remote = Arc::clone(remote);
        drop(thread::Builder::new().spawn(move || watch(&remote, &ended)));
        Self { _end: end }
    }
}

fn watch(remote: &Remote, ended: &Receiver<()>) {
    while ended.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
        // The circuit breaker keeps the reason, and the build reads it.
        if n_running() > 0 && remote.check().is_err() {
            return;
        }
    }
}
