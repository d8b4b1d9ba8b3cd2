//! Limits the number of threads that perform an operation at the same time.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Permits, each with one holder at a time.
pub(crate) struct Permits {
    n_free: Mutex<usize>,
    returned: Condvar,
}

/// A permit, returned on drop.
pub(crate) struct Permit<'a>(&'a Permits);

impl Permits {
    pub(crate) fn new(n: usize) -> Self {
        Self { n_free: Mutex::new(n), returned: Condvar::new() }
    }

    /// Waits until a permit is free.
    pub(crate) fn take(&self) -> Permit<'_> {
        let mut n_free = self.lock();
        while *n_free == 0 {
            n_free = self.returned.wait(n_free).unwrap_or_else(PoisonError::into_inner);
        }
        *n_free -= 1;
        Permit(self)
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.n_free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *self.0.lock() += 1;
        self.0.returned.notify_one();
    }
}
