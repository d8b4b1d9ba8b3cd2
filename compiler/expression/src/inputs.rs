//! Access to the inputs that an expression numbers with `$0`, `$1` and so on.
//!
//! The crate reads no files: whoever evaluates an expression implements these traits over what it has.

use std::borrow::Cow;
use std::ops::Range;

use crate::error::InputError;

/// The inputs of an evaluation.
pub trait Inputs: Sync {
    /// The bytes of an input.
    ///
    /// # Errors
    /// When there is no such input or it cannot be read.
    fn open(&self, input: usize) -> Result<Box<dyn InputBytes>, InputError>;

    /// Succeeds as long as the result is wanted. Passes over a whole tensor ask before each tile.
    ///
    /// # Errors
    /// When the result is not wanted any more.
    fn go_on(&self) -> Result<(), InputError>;
}

/// The bytes of one input, which stay readable from any thread.
pub trait InputBytes: Send + Sync {
    /// Number of bytes.
    fn n_bytes(&self) -> u64;

    /// The bytes of a range, borrowed where they lie in one piece; `None` outside the input.
    fn range(&self, range: Range<u64>) -> Option<Cow<'_, [u8]>>;
}
