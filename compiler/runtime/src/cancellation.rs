//! Cancellation of a computation whose result is no longer needed.
//!
//! It is checked before each matrix product, so that a large model stops quickly: a chunk of its text takes minutes.

use crate::error::RuntimeError;

/// A callback that asks the caller if the result is still needed.
#[derive(Clone, Copy)]
pub struct Cancellation<'a>(Option<&'a (dyn Fn() -> bool + Sync)>);

impl<'a> Cancellation<'a> {
    /// Never cancels.
    pub const NEVER: Cancellation<'static> = Cancellation(None);

    /// * `is_cancelled`: returns true if the result is no longer needed; called often, from many threads
    pub fn new(is_cancelled: &'a (dyn Fn() -> bool + Sync)) -> Self {
        Self(Some(is_cancelled))
    }

    /// # Errors
    /// [`RuntimeError::Cancelled`] if the result is no longer needed.
    pub(crate) fn check(self) -> Result<(), RuntimeError> {
        if self.0.is_some_and(|is_cancelled| is_cancelled()) { Err(RuntimeError::Cancelled) } else { Ok(()) }
    }
}
