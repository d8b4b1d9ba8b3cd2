//! Asks a cache that a build must not do without, now and then while steps compute: they ask nothing of it, and what they
//! give is for nothing when it is gone.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use mc_execute::running::n_running;
use mc_remote::remote::Remote;

/// Pause between questions: with a server that refuses connections, a small part of the time that one may take.
const PAUSE: Duration = Duration::from_secs(1);

/// Somebody who asks, until this is dropped.
pub(crate) struct Watch {
    _end: Sender<()>,
}

impl Watch {
    /// Begins to ask. Where no thread can be had, the build learns of a failure from its next question.
    pub(crate) fn begin(remote: &Arc<Remote>) -> Self {
        let (end, ended) = channel();
        let remote = Arc::clone(remote);
        drop(thread::Builder::new().spawn(move || watch(&remote, &ended)));
        Self { _end: end }
    }
}

fn watch(remote: &Remote, ended: &Receiver<()>) {
    while ended.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
        // The breaker remembers why, and a build asks it.
        if n_running() > 0 && remote.check().is_err() {
            return;
        }
    }
}
