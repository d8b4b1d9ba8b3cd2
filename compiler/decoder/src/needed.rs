//! Tensors that a checkpoint must hold for a program, and their shapes there.

use mc_tensor::model_tensor::ModelTensor;

/// A tensor that a checkpoint must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needed {
    /// Its purpose.
    pub tensor: ModelTensor,
    /// The expert whose part of it this is; absent where all is one tensor.
    pub part: Option<u32>,
    /// Its shape, rows first.
    pub shape: Vec<u64>,
}

impl Needed {
    /// All of a tensor.
    pub fn whole(tensor: ModelTensor, shape: &[u64]) -> Self {
        Self { tensor, part: None, shape: shape.to_vec() }
    }
}
