//! Changes that a format makes to a tensor before it is encoded.
//!
//! Weights stay as the checkpoint stores them until they are exported, so that adapters and merges see one layout. A
//! format names changes; whoever exports makes them, as the last operators of a tensor's expression.

/// A change of one tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// Rows of each head from the half-split rotary order to the interleaved one.
    Interleave {
        /// Heads that the rows fall into.
        n_heads: u32,
    },
    /// A number added to every element.
    Add(f32),
    /// The middle one of three dimensions, which is 1, left out.
    Squeeze,
}
