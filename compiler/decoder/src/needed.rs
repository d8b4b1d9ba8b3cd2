//! Tensors that a checkpoint must hold for a program, and their shapes in it.

use mc_tensor::model_tensor::ModelTensor;

/// A tensor that a checkpoint must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needed {
    /// Its purpose.
    pub tensor: ModelTensor,
    /// The expert that this part of the tensor belongs to; `None` for a whole tensor.
    pub part: Option<u32>,
    /// Its shape, rows first.
    pub shape: Vec<u64>,
}

impl Needed {
    /// Creates a whole tensor.
    pub fn whole(tensor: ModelTensor, shape: &[u64]) -> Self {
        Self { tensor, part: None, shape: shape.to_vec() }
    }
}
