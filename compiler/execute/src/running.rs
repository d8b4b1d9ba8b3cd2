//! Counts the actions that run in this process. After an interrupt, a caller can exit once only waits for servers are
//! left.

use std::sync::atomic::{AtomicUsize, Ordering};

static N_RUNNING: AtomicUsize = AtomicUsize::new(0);

/// Number of running actions.
pub fn n_running() -> usize {
    N_RUNNING.load(Ordering::SeqCst)
}

/// Marks an action as running until it is dropped.
pub(crate) struct Running;

impl Running {
    pub(crate) fn begin() -> Self {
        N_RUNNING.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        N_RUNNING.fetch_sub(1, Ordering::SeqCst);
    }
}
