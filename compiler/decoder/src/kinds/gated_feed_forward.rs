//! Gated feed-forward: `down( activation(gate(x)) * up(x) )`.

use mc_digest::content_hash::ContentHash;
use mc_graph::builder::Builder;
use mc_graph::error::GraphError;
use mc_graph::ids::ValueId;
use mc_graph::operators::mul::Mul;
use mc_graph::operators::slice::Slice;
use mc_tensor::model_tensor::ModelTensor;
use serde::{Deserialize, Serialize};

use crate::activation::Activation;
use crate::kind::{LayerKind, Site};
use crate::kinds::attention::linear;
use crate::needed::Needed;

/// One gated feed-forward for all tokens.
#[derive(Clone, ContentHash, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[content("gated-feed-forward")]
pub struct GatedFeedForward {
    /// Width of the gate and up projections.
    #[content("n-ff")]
    pub n_ff: u32,
    /// Activation of the gate.
    #[content("activation")]
    pub activation: Activation,
    /// True if gate and up projections are one matrix, the gate's rows first.
    #[content("is-fused")]
    pub is_fused: bool,
}

/// Its name.
pub(crate) const NAME: &str = "gated-feed-forward";

impl LayerKind for GatedFeedForward {
    fn name(&self) -> &'static str {
        NAME
    }

    fn tensors(&self, site: Site) -> Box<dyn Iterator<Item = Needed>> {
        let block = site.block;
        let (n_ff, n_embd) = (u64::from(self.n_ff), u64::from(site.n_embd));
        let gate = (!self.is_fused).then(|| Needed::whole(ModelTensor::FfnGate { block }, &[n_ff, n_embd]));
        let n_up = if self.is_fused { 2 * n_ff } else { n_ff };
        let others = [
            Needed::whole(ModelTensor::FfnUp { block }, &[n_up, n_embd]),
            Needed::whole(ModelTensor::FfnDown { block }, &[n_embd, n_ff]),
        ];
        Box::new(gate.into_iter().chain(others))
    }

    fn widest(&self, _: Site) -> u64 {
        2 * u64::from(self.n_ff)
    }

    fn lower(&self, builder: &mut Builder, site: Site, input: ValueId) -> Result<ValueId, GraphError> {
        let Site { block, n_embd } = site;
        let n_ff = self.n_ff;
        let n_both = n_ff.checked_mul(2).filter(|_| n_ff > 0);
        let n_both =
            n_both.ok_or_else(|| GraphError::misfit(NAME, "a width from 1 to 2^31", n_ff.to_string()))?;
        let (gate, up) = if self.is_fused {
            let both = linear(builder, input, ModelTensor::FfnUp { block }, [n_both, n_embd], None)?;
            let mut half = |start| builder.one(Slice { start, len: n_ff }, &[both]);
            (half(0)?, half(n_ff)?)
        } else {
            let gate = linear(builder, input, ModelTensor::FfnGate { block }, [n_ff, n_embd], None)?;
            (gate, linear(builder, input, ModelTensor::FfnUp { block }, [n_ff, n_embd], None)?)
        };
        let gate = self.activation.lower(builder, gate)?;
        let gated = builder.one(Mul {}, &[gate, up])?;
        linear(builder, gated, ModelTensor::FfnDown { block }, [n_embd, n_ff], None)
    }
}
