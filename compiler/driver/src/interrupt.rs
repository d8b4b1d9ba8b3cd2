//! An interrupt: somebody asks a build to stop, and the build notices between two actions.

use std::sync::atomic::{AtomicBool, Ordering};

/// A request to stop, shared between a build and whoever may interrupt it.
#[derive(Debug, Default)]
pub struct Interrupt {
    is_wanted: AtomicBool,
    is_building: AtomicBool,
}

impl Interrupt {
    /// Asks the build to stop. Returns true if nobody has asked before.
    pub fn request(&self) -> bool {
        !self.is_wanted.swap(true, Ordering::Relaxed)
    }

    /// Returns true if the build is to stop.
    pub fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Relaxed)
    }

    /// Returns true while a build runs, which looks at the request and stops by itself.
    pub fn is_building(&self) -> bool {
        self.is_building.load(Ordering::Relaxed)
    }

    /// The flag that the executor looks at.
    pub(crate) fn flag(&self) -> &AtomicBool {
        &self.is_wanted
    }

    /// Marks the begin of a build, which ends when the returned value is dropped.
    pub(crate) fn building(&self) -> Building<'_> {
        self.is_building.store(true, Ordering::Relaxed);
        Building(self)
    }
}

/// A build that looks at the request until this is dropped.
pub(crate) struct Building<'a>(&'a Interrupt);

impl Drop for Building<'_> {
    fn drop(&mut self) {
        self.0.is_building.store(false, Ordering::Relaxed);
    }
}
