//! The caller of a long computation: it says if the result is still wanted, and hears how far the computation is.
//!
//! The question is asked before each product of matrices, so that a large model stops soon as well: a chunk of it takes
//! minutes. Progress is told after each group of chunks or prompts that ran side by side.

use crate::error::RuntimeError;

/// A question to the caller of a computation, and a way to tell it of progress.
#[derive(Clone, Copy)]
pub struct Cancellation<'a> {
    is_cancelled: Option<&'a (dyn Fn() -> bool + Sync)>,
    on_progress: Option<&'a (dyn Fn(usize, usize) + Sync)>,
}

impl<'a> Cancellation<'a> {
    /// The result is wanted in any case.
    pub const NEVER: Cancellation<'static> = Cancellation { is_cancelled: None, on_progress: None };

    /// * `is_cancelled`: returns true if the result is no longer needed; called often, from many threads
    pub fn new(is_cancelled: &'a (dyn Fn() -> bool + Sync)) -> Self {
        Self { is_cancelled: Some(is_cancelled), on_progress: None }
    }

    /// The same question, with somebody who hears of progress.
    ///
    /// * `on_progress`: gets the number of units that are done, and of all; units are tokens where a text is read, and
    ///   prompts where they are answered
    #[must_use]
    pub fn reporting(self, on_progress: &'a (dyn Fn(usize, usize) + Sync)) -> Self {
        Self { on_progress: Some(on_progress), ..self }
    }

    /// Tells that so many units are done.
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
