//! An interrupt: a request to stop a build, which the build checks between two actions.

use std::sync::atomic::{AtomicBool, Ordering};

/// A request to stop, shared between a build and its callers.
#[derive(Debug, Default)]
pub struct Interrupt {
    is_wanted: AtomicBool,
    is_building: AtomicBool,
}

impl Interrupt {
    /// Requests a stop. Returns true for the first request.
    pub fn request(&self) -> bool {
        !self.is_wanted.swap(true, Ordering::Relaxed)
    }

    /// Returns true if the build should stop.
    pub fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Relaxed)
    }

    /// Returns true while a build runs, which checks the request and stops by itself.
    pub fn is_building(&self) -> bool {
        self.is_building.load(Ordering::Relaxed)
    }

    /// The flag that the executor checks.
    pub(crate) fn flag(&self) -> &AtomicBool {
        &self.is_wanted
    }

    /// Marks the beginning of a build, which ends when the returned value is dropped.
    pub(crate) fn building(&self) -> Building<'_> {
        self.is_building.store(true, Ordering::Relaxed);
        Building(self)
    }
}

/// Marks a build as running until it is dropped.
pub(crate) struct Building<'a>(&'a Interrupt);

impl Drop for Building<'_> {
    fn drop(&mut self) {
        self.0.is_building.store(false, Ordering::Relaxed);
    }
}
