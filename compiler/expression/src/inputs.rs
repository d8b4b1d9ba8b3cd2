//! Access to the inputs of an expression, which are numbered `$0`, `$1` and so on.
//!
//! The crate reads no files: the caller of an evaluation implements these traits.

use std::borrow::Cow;
use std::ops::Range;

use crate::error::InputError;

/// The inputs of an evaluation.
pub trait Inputs: Sync {
    /// Opens the bytes of an input.
    ///
    /// # Errors
    /// If the input does not exist or cannot be read.
    fn open(&self, input: usize) -> Result<Box<dyn InputBytes>, InputError>;

    /// Succeeds while the result is needed. Passes over a whole tensor check before each tile.
    ///
    /// # Errors
    /// If the evaluation is cancelled.
    fn go_on(&self) -> Result<(), InputError>;
}

/// The bytes of one input, readable from any thread.
pub trait InputBytes: Send + Sync {
    /// Number of bytes.
    fn n_bytes(&self) -> u64;

    /// The bytes of a range, borrowed if they are contiguous; `None` outside the input.
    fn range(&self, range: Range<u64>) -> Option<Cow<'_, [u8]>>;
}
