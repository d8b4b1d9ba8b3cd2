//! How many steps compute on this machine, in this process: for whoever was interrupted, and would end it when only
//! waits for servers are left.

use std::sync::atomic::{AtomicUsize, Ordering};

static N_RUNNING: AtomicUsize = AtomicUsize::new(0);

/// How many steps compute.
pub fn n_running() -> usize {
    N_RUNNING.load(Ordering::SeqCst)
}

/// A step that computes, until this is dropped.
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
