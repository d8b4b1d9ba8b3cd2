//! The positions of a batch, with the tensors that were computed from them.

use std::collections::BTreeMap;

use crate::tflite::subgraph::Tensor;

/// The positions of a batch, and tensors computed from them, each once.
pub(crate) struct Positions {
    /// The position of each token, `[tokens]`.
    pub(crate) input_pos: Tensor,
    /// Added to scores, `[1, 1, tokens, positions]`: 0 if a token sees a position, otherwise a large negative number.
    pub(crate) mask: Tensor,
    pub(crate) first: Option<Tensor>,
    pub(crate) last: Option<Tensor>,
    pub(crate) numbers: Option<Tensor>,
    pub(crate) starts: BTreeMap<usize, Tensor>,
    pub(crate) windows: BTreeMap<u32, Tensor>,
}

impl Positions {
    /// The positions of a batch and the mask of the caller.
    pub(crate) fn new(input_pos: Tensor, mask: Tensor) -> Self {
        Self {
            input_pos,
            mask,
            first: None,
            last: None,
            numbers: None,
            starts: BTreeMap::new(),
            windows: BTreeMap::new(),
        }
    }
}
