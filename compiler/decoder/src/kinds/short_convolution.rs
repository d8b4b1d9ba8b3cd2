//! LFM2's short convolution over time with two gates.
//!
//! `out( c * conv( b * x ) )`: `b`, `c` and `x` come from one projection, and each column has its own kernel. The last
//! columns of `b * x` are the state.

use mc_digest::content_hash::ContentHash;
use mc_graph::builder::Builder;
use mc_graph::error::GraphError;
use mc_graph::ids::ValueId;
use mc_graph::operators::conv1d::Conv1d;
use mc_graph::operators::mul::Mul;
use mc_graph::operators::recent_rows::RecentRows;
use mc_graph::operators::slice::Slice;
use mc_tensor::model_tensor::ModelTensor;
use serde::{Deserialize, Serialize};

use crate::kind::{LayerKind, Site};
use crate::kinds::attention::linear;
use crate::needed::Needed;

/// `out( c * conv( b * x ) )`, with `b`, `c` and `x` from one projection and a kernel for each column.
#[derive(Clone, ContentHash, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[content("short-convolution")]
pub struct ShortConvolution {
    /// Number of positions that the kernel covers.
    #[content("kernel-len")]
    pub kernel_len: u32,
}

/// Its name.
pub(crate) const NAME: &str = "short-convolution";

impl LayerKind for ShortConvolution {
    fn name(&self) -> &'static str {
        NAME
    }

    fn tensors(&self, site: Site) -> Box<dyn Iterator<Item = Needed>> {
        let block = site.block;
        let n_embd = u64::from(site.n_embd);
        Box::new(
            [
                Needed::whole(ModelTensor::ShortconvConv { block }, &[n_embd, 1, self.kernel_len.into()]),
                Needed::whole(ModelTensor::ShortconvInProj { block }, &[3 * n_embd, n_embd]),
                Needed::whole(ModelTensor::ShortconvOutProj { block }, &[n_embd, n_embd]),
            ]
            .into_iter(),
        )
    }

    fn widest(&self, site: Site) -> u64 {
        3 * u64::from(site.n_embd)
    }

    fn lower(&self, builder: &mut Builder, site: Site, input: ValueId) -> Result<ValueId, GraphError> {
        let Site { block, n_embd } = site;
        let too_wide = || GraphError::misfit(NAME, "a width whose triple fits 32 bits", n_embd.to_string());
        let n_all = n_embd.checked_mul(3).ok_or_else(too_wide)?;
        let n_before = self.kernel_len.checked_sub(1);
        let n_before =
            n_before.ok_or_else(|| GraphError::misfit(NAME, "a kernel of at least one position", "none"))?;
        let all = linear(builder, input, ModelTensor::ShortconvInProj { block }, [n_all, n_embd], None)?;
        let mut part = |number: u32| builder.one(Slice { start: number * n_embd, len: n_embd }, &[all]);
        let (before, after, columns) = (part(0)?, part(1)?, part(2)?);
        let gated = builder.one(Mul {}, &[before, columns])?;
        let state = builder.state(format!("block {block} columns"), &[n_embd], Some(n_before));
        let recent = builder.one(RecentRows { state, n_before }, &[gated])?;
        let kernel = builder.weight(ModelTensor::ShortconvConv { block }, &[n_embd, self.kernel_len])?;
        let mixed = builder.one(Conv1d {}, &[recent, kernel])?;
        let gated = builder.one(Mul {}, &[after, mixed])?;
        linear(builder, gated, ModelTensor::ShortconvOutProj { block }, [n_embd, n_embd], None)
    }
}
