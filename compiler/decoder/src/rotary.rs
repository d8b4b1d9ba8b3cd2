//! The rotary embedding of an attention.

use mc_digest::content_hash::ContentHash;
use mc_graph::builder::Builder;
use mc_graph::error::GraphError;
use mc_graph::ids::ValueId;
use mc_graph::operators::rope::Rope;
use mc_graph::operators::rotary_angles::RotaryAngles;
use mc_graph::rotary::{RotaryPairing, RotaryScaling};
use mc_tensor::model_tensor::ModelTensor;
use serde::{Deserialize, Serialize};

/// Rotary position embedding.
#[derive(Clone, ContentHash, Debug, Deserialize, PartialEq, Serialize)]
#[content("rotary")]
pub struct Rotary {
    /// Number of leading dimensions of a head that rotate.
    #[content("n-dims")]
    pub n_dims: u32,
    /// Base of the frequencies: `base^(-2i / n_dims)`.
    #[content("base")]
    pub base: f32,
    /// The scaling of the frequencies for a longer context.
    #[content("scaling")]
    pub scaling: RotaryScaling,
    /// The pairs of dimensions that rotate together.
    #[content("pairing")]
    pub pairing: RotaryPairing,
}

impl Rotary {
    /// Adds the rotation of heads `[tokens, heads, head_dim]` to a graph. Layers with the same angles share them.
    ///
    /// # Errors
    /// If the heads have fewer dimensions than rotate.
    pub fn lower(&self, builder: &mut Builder, heads: ValueId) -> Result<ValueId, GraphError> {
        let angles = RotaryAngles { n_dims: self.n_dims, base: self.base, scaling: self.scaling.clone() };
        let divisors: &[ModelTensor] = match &self.scaling {
            RotaryScaling::Divisors { .. } => &[ModelTensor::RopeFreqs],
            RotaryScaling::LongRope { factors: None, .. } => {
                &[ModelTensor::RopeFactorsLong, ModelTensor::RopeFactorsShort]
            }
            _ => &[],
        };
        let weight = |tensor: &ModelTensor| builder.weight(*tensor, &[self.n_dims / 2]);
        let divisors: Vec<ValueId> = divisors.iter().map(weight).collect::<Result<_, _>>()?;
        let [cosines, sines] = builder.all(angles, &divisors)?[..] else {
            unreachable!("angles are cosines and sines");
        };
        builder.one(Rope { pairing: self.pairing }, &[heads, cosines, sines])
    }
}
