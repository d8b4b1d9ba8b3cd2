//! Changes that a format makes to a tensor before encoding.
//!
//! Weights stay as the checkpoint stores them until export, so that adapters and merges see one layout. A format names
//! the changes; the caller applies them as the last operators of a tensor's expression.

/// A change of one tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// Reorders the rows of each head from the half-split rotary layout to the interleaved one.
    Interleave {
        /// Number of heads that the rows belong to.
        n_heads: u32,
    },
    /// Adds a number to every element.
    Add(f32),
    /// Removes the middle one of three dimensions, whose size is 1.
    Squeeze,
}
