//! The weights of a model by the purpose of each tensor, independent of their source.

use std::collections::BTreeMap;

use mc_tensor::model_tensor::ModelTensor;

use crate::error::RuntimeError;
use crate::weight::Weight;

/// The weights of a model.
#[derive(Clone, Debug, Default)]
pub struct Weights {
    tensors: BTreeMap<ModelTensor, Weight>,
}

impl Weights {
    /// Creates an empty set of weights.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tensor, replacing an earlier one.
    pub fn insert(&mut self, tensor: ModelTensor, weight: Weight) {
        self.tensors.insert(tensor, weight);
    }

    /// A tensor, if present.
    pub fn get(&self, tensor: ModelTensor) -> Option<&Weight> {
        self.tensors.get(&tensor)
    }

    /// Removes and returns a tensor, which must have this shape.
    ///
    /// # Errors
    /// [`RuntimeError::MissingTensor`] or [`RuntimeError::WrongShape`].
    pub(crate) fn take(&mut self, tensor: ModelTensor, expected: &[usize]) -> Result<Weight, RuntimeError> {
        let weight = self
            .tensors
            .remove(&tensor)
            .ok_or_else(|| RuntimeError::MissingTensor { tensor, expected: expected.to_vec() })?;
        let found = weight.shape().to_vec();
        // Checkpoints store a convolution's kernels with an extra dimension of 1 that the graph does not have.
        let wrong = || RuntimeError::WrongShape { tensor, expected: expected.to_vec(), found };
        weight.reshaped(expected).ok_or_else(wrong)
    }
}

impl FromIterator<(ModelTensor, Weight)> for Weights {
    fn from_iter<I: IntoIterator<Item = (ModelTensor, Weight)>>(tensors: I) -> Self {
        Self { tensors: tensors.into_iter().collect() }
    }
}
