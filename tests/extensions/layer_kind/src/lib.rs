//! Feed-forward without a gate, as GPT-2 and Falcon have it: `down( activation(up(x)) )`.

use mc_decoder::activation::Activation;
use mc_decoder::kind::{LayerKind, Site};
use mc_decoder::needed::Needed;
use mc_digest::content_hash::ContentHash;
use mc_graph::builder::Builder;
use mc_graph::error::GraphError;
use mc_graph::ids::ValueId;
use mc_graph::operators::matmul::Matmul;
use mc_tensor::model_tensor::ModelTensor;
use serde::{Deserialize, Serialize};

/// Feed-forward without a gate.
#[derive(Clone, ContentHash, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[content("plain-feed-forward")]
pub struct PlainFeedForward {
    /// Width between the two projections.
    #[content("n-ff")]
    pub n_ff: u32,
    /// Applied between them.
    #[content("activation")]
    pub activation: Activation,
}

impl LayerKind for PlainFeedForward {
    fn name(&self) -> &'static str {
        "plain-feed-forward"
    }

    fn tensors(&self, site: Site) -> Box<dyn Iterator<Item = Needed>> {
        let block = site.block;
        let (n_ff, n_embd) = (u64::from(self.n_ff), u64::from(site.n_embd));
        Box::new(
            [
                Needed::whole(ModelTensor::FfnUp { block }, &[n_ff, n_embd]),
                Needed::whole(ModelTensor::FfnDown { block }, &[n_embd, n_ff]),
            ]
            .into_iter(),
        )
    }

    fn widest(&self, _: Site) -> u64 {
        u64::from(self.n_ff)
    }

    fn lower(&self, builder: &mut Builder, site: Site, input: ValueId) -> Result<ValueId, GraphError> {
        let Site { block, n_embd } = site;
        let up = builder.weight(ModelTensor::FfnUp { block }, &[self.n_ff, n_embd])?;
        let wide = builder.one(Matmul {}, &[input, up])?;
        let bent = self.activation.lower(builder, wide)?;
        let down = builder.weight(ModelTensor::FfnDown { block }, &[n_embd, self.n_ff])?;
        builder.one(Matmul {}, &[bent, down])
    }
}
