//! A mixture of experts: gated feed-forwards, some of which a router chooses for each token.
//!
//! ```text
//! p = softmax( router(x) ); the n_used greatest of p are chosen, and divided by their sum where `is_normalized`
//! sum over the chosen of p[e] * down[e]( activation(gate[e](x)) * up[e](x) )
//! ```
//!
//! Source: `MixtralSparseMoeBlock` and `Qwen3MoeSparseMoeBlock` of Transformers. Mixtral's router applies the softmax
//! to the chosen scores only, which gives the same numbers.

use mc_digest::content_hash::ContentHash;
use mc_graph::builder::Builder;
use mc_graph::error::GraphError;
use mc_graph::ids::ValueId;
use mc_graph::operators::div::Div;
use mc_graph::operators::gather_matmul::GatherMatmul;
use mc_graph::operators::mul::Mul;
use mc_graph::operators::reduce_sum::ReduceSum;
use mc_graph::operators::softmax::Softmax;
use mc_graph::operators::top_k::TopK;
use mc_graph::operators::weighted_sum::WeightedSum;
use mc_tensor::model_tensor::ModelTensor;
use serde::{Deserialize, Serialize};

use crate::activation::Activation;
use crate::kind::{LayerKind, Site};
use crate::kinds::attention::linear;
use crate::needed::Needed;

/// Maximum number of experts per layer. A description is untrusted input, and each expert takes memory before any
/// tensor is read.
pub const MAX_EXPERTS: u32 = 1024;

/// Maximum number of experts in all layers together.
pub const MAX_EXPERTS_OF_MODEL: u64 = 40_000;

/// Feed-forwards, some of which a router chooses for each token.
#[derive(Clone, ContentHash, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[content("experts")]
pub struct Experts {
    /// Number of experts.
    #[content("n-experts")]
    pub n_experts: u32,
    /// Number of experts that each token uses.
    #[content("n-used")]
    pub n_used: u32,
    /// Width of the gate and up projections of an expert.
    #[content("n-ff")]
    pub n_ff: u32,
    /// Activation of the gate.
    #[content("activation")]
    pub activation: Activation,
    /// True if the weights of the chosen experts are divided by their sum.
    #[content("is-normalized")]
    pub is_normalized: bool,
    /// Width of a dense layer in the configuration; containers write it.
    #[content("n-ff-dense")]
    pub n_ff_dense: u32,
}

/// Its name.
pub(crate) const NAME: &str = "experts";

impl LayerKind for Experts {
    fn name(&self) -> &'static str {
        NAME
    }

    fn tensors(&self, site: Site) -> Box<dyn Iterator<Item = Needed>> {
        let block = site.block;
        let (n_ff, n_embd) = (u64::from(self.n_ff), u64::from(site.n_embd));
        let router = Needed::whole(ModelTensor::FfnGateInp { block }, &[self.n_experts.into(), n_embd]);
        Box::new(std::iter::once(router).chain(parts(block, self.n_experts, n_ff, n_embd)))
    }

    fn widest(&self, _: Site) -> u64 {
        2 * u64::from(self.n_used) * u64::from(self.n_ff)
    }

    fn lower(&self, builder: &mut Builder, site: Site, input: ValueId) -> Result<ValueId, GraphError> {
        let Site { block, n_embd } = site;
        let (n_experts, n_ff) = (self.n_experts, self.n_ff);
        if n_ff == 0 || self.n_used == 0 || self.n_used > n_experts {
            let found = format!("{} of {n_experts} experts of width {n_ff}", self.n_used);
            return Err(GraphError::misfit(NAME, "at least one of the experts, with a width", found));
        }
        let scores = linear(builder, input, ModelTensor::FfnGateInp { block }, [n_experts, n_embd], None)?;
        let shares = builder.one(Softmax {}, &[scores])?;
        let [mut shares, chosen] = builder.all(TopK { k: self.n_used }, &[shares])?[..] else {
            unreachable!("numbers and their places");
        };
        if self.is_normalized {
            let sum = builder.one(ReduceSum {}, &[shares])?;
            shares = builder.one(Div {}, &[shares, sum])?;
        }
        let mut product = |input, tensor, shape: [u32; 3]| {
            let weights = builder.weight(tensor, &shape)?;
            builder.one(GatherMatmul {}, &[input, weights, chosen])
        };
        let gate = product(input, ModelTensor::FfnGateExps { block }, [n_experts, n_ff, n_embd])?;
        let up = product(input, ModelTensor::FfnUpExps { block }, [n_experts, n_ff, n_embd])?;
        let gate = self.activation.lower(builder, gate)?;
        let gated = builder.one(Mul {}, &[gate, up])?;
        let weights = builder.weight(ModelTensor::FfnDownExps { block }, &[n_experts, n_embd, n_ff])?;
        let down = builder.one(GatherMatmul {}, &[gated, weights, chosen])?;
        builder.one(WeightedSum {}, &[down, shares])
    }
}

/// The tensors of a layer's stacks, expert by expert.
fn parts(block: u32, n_experts: u32, n_ff: u64, n_embd: u64) -> impl Iterator<Item = Needed> {
    (0..n_experts).flat_map(move |part| {
        [
            (ModelTensor::FfnGateExps { block }, vec![n_ff, n_embd]),
            (ModelTensor::FfnUpExps { block }, vec![n_ff, n_embd]),
            (ModelTensor::FfnDownExps { block }, vec![n_embd, n_ff]),
        ]
        .map(|(tensor, shape)| Needed { tensor, part: Some(part), shape })
    })
}
