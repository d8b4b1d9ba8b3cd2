//! Whether what is computed is still wanted.
//!
//! It is asked before each product of matrices, so that a large model stops soon as well: a chunk of it takes minutes.

use crate::error::RuntimeError;

/// A question to whoever wanted the result.
#[derive(Clone, Copy)]
pub struct Cancellation<'a>(Option<&'a (dyn Fn() -> bool + Sync)>);

impl<'a> Cancellation<'a> {
    /// The result is wanted in any case.
    pub const NEVER: Cancellation<'static> = Cancellation(None);

    /// * `is_cancelled`: whether the result is not wanted any more; asked often, from many threads
    pub fn new(is_cancelled: &'a (dyn Fn() -> bool + Sync)) -> Self {
        Self(Some(is_cancelled))
    }

    /// # Errors
    /// [`RuntimeError::Cancelled`], once the result is not wanted any more.
    pub(crate) fn check(self) -> Result<(), RuntimeError> {
        if self.0.is_some_and(|is_cancelled| is_cancelled()) { Err(RuntimeError::Cancelled) } else { Ok(()) }
    }
}
