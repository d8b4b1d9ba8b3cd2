//! Causal self-attention with grouped key and value heads.
//!
//! ```text
//! q, k, v = projections of x, as heads
//! out( attention( rope( norm(q) ), cache( rope( norm(k) ) ), cache(v) ) )
//! ```

use mc_digest::content_hash::ContentHash;
use mc_graph::builder::Builder;
use mc_graph::error::GraphError;
use mc_graph::ids::ValueId;
use mc_graph::operators::add::Add;
use mc_graph::operators::attention::Attention as Attend;
use mc_graph::operators::cache_update::CacheUpdate;
use mc_graph::operators::matmul::Matmul;
use mc_graph::operators::reshape::Reshape;
use mc_graph::operators::slice::Slice;
use mc_graph::value_type::{Dim, TOKENS};
use mc_tensor::model_tensor::ModelTensor;
use serde::{Deserialize, Serialize};

use crate::kind::{LayerKind, Site};
use crate::needed::Needed;
use crate::norm::Norm;
use crate::rotary::Rotary;

/// Causal self-attention with grouped key and value heads.
#[derive(Clone, ContentHash, Debug, Deserialize, PartialEq, Serialize)]
#[content("attention")]
pub struct Attention {
    /// Query heads.
    #[content("n-heads")]
    pub n_heads: u32,
    /// Key and value heads; divides `n_heads`.
    #[content("n-kv-heads")]
    pub n_kv_heads: u32,
    /// Width of one head.
    #[content("head-dim")]
    pub head_dim: u32,
    /// Factor on the scores, usually `1 / sqrt(head_dim)`.
    #[content("scale")]
    pub scale: f32,
    /// True if query, key and value projections are one matrix.
    #[content("is-fused")]
    pub is_fused: bool,
    /// True if the q, k, v projections add a bias.
    #[content("qkv-bias")]
    pub qkv_bias: bool,
    /// True if the output projection adds a bias.
    #[content("output-bias")]
    pub output_bias: bool,
    /// Norm of queries and keys before the rotary embedding.
    #[content("qk-norm")]
    pub qk_norm: QkNorm,
    /// Rotary embedding of queries and keys; `None` in layers without positions.
    #[content("rotary")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotary: Option<Rotary>,
    /// Number of positions that a token attends to, including itself; `None` for all.
    #[content("window")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<u32>,
    /// Caps the scores: `cap * tanh(scores / cap)`.
    #[content("soft-cap")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soft_cap: Option<f32>,
}

/// Norm of queries and keys.
#[derive(Clone, ContentHash, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub enum QkNorm {
    /// None.
    #[content("none")]
    None,
    /// Each head separately, with one weight of a head's width for all.
    #[content("per-head")]
    PerHead(#[content("of")] Norm),
    /// All heads together, with one weight per row of the projection.
    #[content("whole")]
    Whole(#[content("of")] Norm),
}

/// Its name.
pub(crate) const NAME: &str = "attention";

impl LayerKind for Attention {
    fn name(&self) -> &'static str {
        NAME
    }

    fn tensors(&self, site: Site) -> Box<dyn Iterator<Item = Needed>> {
        let Site { block, n_embd } = site;
        let Widths { n_q, n_kv } = self.widths64();
        let n_embd = u64::from(n_embd);
        let head_dim = u64::from(self.head_dim);
        let mut list = Vec::new();
        let mut push = |is_there: bool, tensor, shape: &[u64]| {
            if is_there {
                list.push(Needed::whole(tensor, shape));
            }
        };
        push(self.is_fused, ModelTensor::AttnQkv { block }, &[n_q + 2 * n_kv, n_embd]);
        push(!self.is_fused, ModelTensor::AttnQ { block }, &[n_q, n_embd]);
        push(!self.is_fused, ModelTensor::AttnK { block }, &[n_kv, n_embd]);
        push(!self.is_fused, ModelTensor::AttnV { block }, &[n_kv, n_embd]);
        push(true, ModelTensor::AttnOutput { block }, &[n_embd, n_q]);
        push(self.qkv_bias, ModelTensor::AttnQBias { block }, &[n_q]);
        push(self.qkv_bias, ModelTensor::AttnKBias { block }, &[n_kv]);
        push(self.qkv_bias, ModelTensor::AttnVBias { block }, &[n_kv]);
        push(self.output_bias, ModelTensor::AttnOutputBias { block }, &[n_embd]);
        let widths = match self.qk_norm {
            QkNorm::None => None,
            QkNorm::PerHead(_) => Some([head_dim, head_dim]),
            QkNorm::Whole(_) => Some([n_q, n_kv]),
        };
        let [q, k] = widths.unwrap_or_default();
        push(widths.is_some(), ModelTensor::AttnQNorm { block }, &[q]);
        push(widths.is_some(), ModelTensor::AttnKNorm { block }, &[k]);
        Box::new(list.into_iter())
    }

    fn widest(&self, _: Site) -> u64 {
        let Widths { n_q, n_kv } = self.widths64();
        n_q + 2 * n_kv
    }

    fn lower(&self, builder: &mut Builder, site: Site, input: ValueId) -> Result<ValueId, GraphError> {
        let block = site.block;
        let Widths { n_q, n_kv } = self.widths()?;
        let [q, k, v] = self.project(builder, site, input)?;
        let q = self.heads(builder, q, self.n_heads, ModelTensor::AttnQNorm { block })?;
        let k = self.heads(builder, k, self.n_kv_heads, ModelTensor::AttnKNorm { block })?;
        let v = as_heads(builder, v, self.n_kv_heads, self.head_dim)?;
        let row = [self.n_kv_heads, self.head_dim];
        let mut cached = |rows: ValueId, name: &str| {
            let state = builder.state(format!("block {block} {name}"), &row, self.window);
            builder.one(CacheUpdate { state }, &[rows])
        };
        let (k, v) = (cached(k, "keys")?, cached(v, "values")?);
        let attend = Attend { scale: self.scale, window: self.window, soft_cap: self.soft_cap };
        let mixed = builder.one(attend, &[q, k, v])?;
        let mixed = builder.one(Reshape { dims: vec![TOKENS, Dim::Fixed(n_q)] }, &[mixed])?;
        let bias = self.output_bias.then_some(ModelTensor::AttnOutputBias { block });
        debug_assert!(n_kv > 0);
        linear(builder, mixed, ModelTensor::AttnOutput { block }, [site.n_embd, n_q], bias)
    }
}

/// Widths of the projections.
struct Widths<T> {
    n_q: T,
    n_kv: T,
}

impl Attention {
    fn widths64(&self) -> Widths<u64> {
        let width = |n_heads: u32| u64::from(n_heads) * u64::from(self.head_dim);
        Widths { n_q: width(self.n_heads), n_kv: width(self.n_kv_heads) }
    }

    fn widths(&self) -> Result<Widths<u32>, GraphError> {
        let (n_heads, n_kv_heads) = (self.n_heads, self.n_kv_heads);
        if n_kv_heads == 0 || n_heads == 0 || !n_heads.is_multiple_of(n_kv_heads) || self.head_dim == 0 {
            let found =
                format!("{n_heads} query heads over {n_kv_heads} key heads of {} dimensions", self.head_dim);
            return Err(GraphError::misfit(NAME, "a multiple of the key heads", found));
        }
        let Widths { n_q, n_kv } = self.widths64();
        let narrow = |width: u64| {
            u32::try_from(width).map_err(|_| {
                GraphError::misfit(NAME, "projections of fewer than 2^30 rows", width.to_string())
            })
        };
        narrow(4 * n_q)?;
        Ok(Widths { n_q: narrow(n_q)?, n_kv: narrow(n_kv)? })
    }

    /// Queries, keys and values, `[tokens, width]` each.
    fn project(&self, builder: &mut Builder, site: Site, input: ValueId) -> Result<[ValueId; 3], GraphError> {
        let Site { block, n_embd } = site;
        let Widths { n_q, n_kv } = self.widths()?;
        let biases = [
            ModelTensor::AttnQBias { block },
            ModelTensor::AttnKBias { block },
            ModelTensor::AttnVBias { block },
        ];
        let widths = [n_q, n_kv, n_kv];
        if self.is_fused {
            let all = linear(builder, input, ModelTensor::AttnQkv { block }, [n_q + 2 * n_kv, n_embd], None)?;
            let mut part = |start, len, tensor| {
                let part = builder.one(Slice { start, len }, &[all])?;
                if self.qkv_bias { add_bias(builder, part, tensor, len) } else { Ok(part) }
            };
            return Ok([
                part(0, n_q, biases[0])?,
                part(n_q, n_kv, biases[1])?,
                part(n_q + n_kv, n_kv, biases[2])?,
            ]);
        }
        let matrices =
            [ModelTensor::AttnQ { block }, ModelTensor::AttnK { block }, ModelTensor::AttnV { block }];
        let mut one = |i: usize| {
            linear(builder, input, matrices[i], [widths[i], n_embd], self.qkv_bias.then_some(biases[i]))
        };
        Ok([one(0)?, one(1)?, one(2)?])
    }

    /// Queries or keys as heads, with norm and rotary embedding applied.
    fn heads(
        &self,
        builder: &mut Builder,
        rows: ValueId,
        n_heads: u32,
        weight: ModelTensor,
    ) -> Result<ValueId, GraphError> {
        let rows = match self.qk_norm {
            QkNorm::Whole(norm) => norm.lower(builder, rows, weight, n_heads * self.head_dim)?,
            QkNorm::None | QkNorm::PerHead(_) => rows,
        };
        let heads = as_heads(builder, rows, n_heads, self.head_dim)?;
        let heads = match self.qk_norm {
            QkNorm::PerHead(norm) => norm.lower(builder, heads, weight, self.head_dim)?,
            QkNorm::None | QkNorm::Whole(_) => heads,
        };
        self.rotary.as_ref().map_or(Ok(heads), |rotary| rotary.lower(builder, heads))
    }
}

fn as_heads(
    builder: &mut Builder,
    rows: ValueId,
    n_heads: u32,
    head_dim: u32,
) -> Result<ValueId, GraphError> {
    builder.one(Reshape { dims: vec![TOKENS, Dim::Fixed(n_heads), Dim::Fixed(head_dim)] }, &[rows])
}

/// A product with a weight, plus a bias if there is one.
pub(crate) fn linear(
    builder: &mut Builder,
    input: ValueId,
    weight: ModelTensor,
    shape: [u32; 2],
    bias: Option<ModelTensor>,
) -> Result<ValueId, GraphError> {
    let weight = builder.weight(weight, &shape)?;
    let product = builder.one(Matmul {}, &[input, weight])?;
    bias.map_or(Ok(product), |bias| add_bias(builder, product, bias, shape[0]))
}

fn add_bias(
    builder: &mut Builder,
    rows: ValueId,
    bias: ModelTensor,
    len: u32,
) -> Result<ValueId, GraphError> {
    let bias = builder.weight(bias, &[len])?;
    builder.one(Add {}, &[rows, bias])
}
