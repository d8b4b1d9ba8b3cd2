//! Cancellation and progress of a long computation.
//!
//! Cancellation is checked before each matrix product, so that a large model also stops soon: one chunk of it takes
//! minutes. Progress is reported after each group of chunks or prompts that ran in parallel.

use crate::error::RuntimeError;

/// Callbacks to the caller of a computation: for cancellation and for progress.
#[derive(Clone, Copy)]
pub struct Cancellation<'a> {
    is_cancelled: Option<&'a (dyn Fn() -> bool + Sync)>,
    on_progress: Option<&'a (dyn Fn(usize, usize) + Sync)>,
}

impl<'a> Cancellation<'a> {
    /// Never cancelled, and reports no progress.
    pub const NEVER: Cancellation<'static> = Cancellation { is_cancelled: None, on_progress: None };

    /// * `is_cancelled`: returns true if the result is no longer needed; called often, from many threads
    pub fn new(is_cancelled: &'a (dyn Fn() -> bool + Sync)) -> Self {
        Self { is_cancelled: Some(is_cancelled), on_progress: None }
    }

    /// The same callbacks, with an additional one for progress.
    ///
    /// * `on_progress`: receives the completed and the total number of units; a unit is a token of a text that is read,
    ///   or a prompt that is answered
    #[must_use]
    pub fn reporting(self, on_progress: &'a (dyn Fn(usize, usize) + Sync)) -> Self {
        Self { on_progress: Some(on_progress), ..self }
    }

    /// Reports the number of completed units.
    pub(crate) fn report(self, n_done: usize, n_total: usize) {
        if let Some(on_progress) = self.on_progress {
            on_progress(n_done, n_total);
        }
    }

    /// # Errors
    /// [`RuntimeError::Cancelled`] if the result is no longer needed.
    pub(crate) fn check(self) -> Result<(), RuntimeError> {
        if self.is_cancelled.is_some_and(|is_cancelled| is_cancelled()) {
            Err(RuntimeError::Cancelled)
        } else {
            Ok(())
        }
    }
}
