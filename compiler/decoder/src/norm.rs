//! The norm before and after each half of a layer.

use mc_digest::content_hash::ContentHash;
use mc_graph::builder::Builder;
use mc_graph::error::GraphError;
use mc_graph::ids::ValueId;
use mc_graph::operators::rms_norm::RmsNorm;
use mc_tensor::model_tensor::ModelTensor;
use serde::{Deserialize, Serialize};

/// Root-mean-square norm: `x / sqrt(mean(x^2) + epsilon) * weight`.
#[derive(Clone, ContentHash, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[content("norm")]
pub struct Norm {
    /// Added to the mean square.
    #[content("epsilon")]
    pub epsilon: f32,
}

impl Norm {
    /// Adds the norm of each row to a graph.
    ///
    /// * `len`: length of the weight
    ///
    /// # Errors
    /// If the rows have another length.
    pub fn lower(
        self,
        builder: &mut Builder,
        input: ValueId,
        weight: ModelTensor,
        len: u32,
    ) -> Result<ValueId, GraphError> {
        let weight = builder.weight(weight, &[len])?;
        builder.one(RmsNorm { epsilon: self.epsilon }, &[input, weight])
    }
}
