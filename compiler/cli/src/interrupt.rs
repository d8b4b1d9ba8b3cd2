//! Ctrl-C and its kin: the first asks the build to stop cleanly, the second ends the process at once.
//!
//! Nothing is lost by the second either: unfinished files belong to a session that the next `mc` clears away.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::exit::Exit;

static CANCELLED: AtomicBool = AtomicBool::new(false);
static IS_BUILDING: AtomicBool = AtomicBool::new(false);

/// The flag that a build looks at. Until [`Building`] says that one does, an interrupt ends the process at once.
pub(crate) fn cancelled() -> &'static AtomicBool {
    &CANCELLED
}

/// Listens for interrupts from now on.
///
/// # Errors
/// When the system does not let us; an interrupt then ends the process as it always does.
pub(crate) fn listen() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(|| {
        let is_first = !CANCELLED.swap(true, Ordering::Relaxed);
        if !(is_first && IS_BUILDING.load(Ordering::Relaxed)) {
            end();
        }
    })
}

#[expect(clippy::exit, reason = "the handler's thread cannot return from `main`")]
fn end() {
    std::process::exit(Exit::Interrupted.code().into());
}

/// While this lives, somebody looks at the flag and stops by himself.
pub(crate) struct Building;

impl Building {
    /// Begins to look at the flag.
    pub(crate) fn begin() -> Self {
        IS_BUILDING.store(true, Ordering::Relaxed);
        Self
    }
}

impl Drop for Building {
    fn drop(&mut self) {
        IS_BUILDING.store(false, Ordering::Relaxed);
    }
}
