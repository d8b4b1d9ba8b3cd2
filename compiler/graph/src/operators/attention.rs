//! Causal attention with grouped heads: `softmax(cap(scale * q k^T) + mask) v` for each head.
//!
//! * `q`: `[tokens, heads, head_dim]`; `k`: `[positions, kv_heads, head_dim]`; `v`: `[positions, kv_heads, value_dim]`
//! * result `[tokens, heads, value_dim]`
//!
//! Query head `h` reads key and value head `h / (heads / kv_heads)`. `cap(x)` is `cap * tanh(x / cap)`, if there is a
//! cap. The mask is that of [`crate::operators::causal_mask`].

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::GraphError;
use crate::ids::ValueId;
use crate::operator::{self, Fragment, Operator};
use crate::operators::add::Add;
use crate::operators::batch_matmul::BatchMatmul;
use crate::operators::causal_mask::CausalMask;
use crate::operators::reshape::Reshape;
use crate::operators::rule;
use crate::operators::scale::Scale;
use crate::operators::soft_cap::SoftCap;
use crate::operators::softmax::Softmax;
use crate::operators::transpose::Transpose;
use crate::scope::Scope;
use crate::tensor::Tensor;
use crate::value_type::{Dim, TOKENS, ValueType};

use mc_tensor::math;

use crate::operators::matmul::dot;

/// Causal attention with grouped heads.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Attention {
    /// Factor on the scores.
    pub scale: f32,
    /// Number of positions that a token attends to, including itself; `None` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<u32>,
    /// Caps the scores: `cap * tanh(score / cap)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soft_cap: Option<f32>,
}

/// Its name.
pub(crate) const NAME: &str = "attention";

impl Operator for Attention {
    fn name(&self) -> &'static str {
        NAME
    }

    fn attributes(&self) -> Value {
        operator::attributes(self)
    }

    fn types(&self, inputs: &[&ValueType]) -> Result<Vec<ValueType>, GraphError> {
        let misfit = || rule::misfit(NAME, "heads of queries over heads of keys and values", inputs);
        rule::reals::<3>(NAME, inputs)?;
        let shapes: Option<Vec<Shape>> = inputs.iter().map(|input| Shape::of(input)).collect();
        let [q, k, v] = shapes.ok_or_else(misfit)?[..] else { return Err(misfit()) };
        let is_grouped = k.n_heads > 0 && q.n_heads > 0 && q.n_heads.is_multiple_of(k.n_heads);
        let is_fitting = q.rows == TOKENS
            && k.rows == Dim::Positions
            && v.rows == Dim::Positions
            && q.width == k.width
            && v.n_heads == k.n_heads;
        if !is_grouped || !is_fitting || self.window == Some(0) {
            return Err(misfit());
        }
        Ok(vec![ValueType::real([TOKENS, Dim::Fixed(q.n_heads), Dim::Fixed(v.width)])])
    }

    fn evaluate(&self, inputs: &[&Tensor], scope: &mut Scope<'_>) -> Vec<Tensor> {
        let (q, k, v) = (inputs[0], inputs[1], inputs[2]);
        let (n_heads, n_kv_heads, width) = (q.shape[1], k.shape[1], v.width());
        let window = self.window.map_or(usize::MAX, |window| window as usize);
        let mut values = Vec::with_capacity(q.shape[0] * n_heads * width);
        for (number, query) in q.rows().enumerate() {
            let (token, head) = (number / n_heads, number % n_heads / (n_heads / n_kv_heads));
            let position = scope.lengths.first_position + token;
            let seen = (position + 1).saturating_sub(window)..position + 1;
            let row = |tensor: &Tensor, other: usize| {
                tensor.values[(other * n_kv_heads + head) * tensor.width()..][..tensor.width()].to_vec()
            };
            let scores: Vec<f32> =
                seen.clone().map(|other| self.bend(self.scale * dot(query, &row(k, other)))).collect();
            let greatest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let powers: Vec<f32> = scores.iter().map(|score| math::exp_f32(score - greatest)).collect();
            let sum: f32 = powers.iter().sum();
            let mut mixed = vec![0.0; width];
            for (other, power) in seen.zip(&powers) {
                for (mixed, value) in mixed.iter_mut().zip(row(v, other)) {
                    *mixed += power / sum * value;
                }
            }
            values.append(&mut mixed);
        }
        vec![Tensor::new(vec![q.shape[0], n_heads, width], values)]
    }

    fn decompose(
        &self,
        fragment: &mut dyn Fragment,
        inputs: &[ValueId],
    ) -> Result<Option<Vec<ValueId>>, GraphError> {
        let shapes: Option<Vec<Shape>> =
            inputs.iter().map(|input| Shape::of(fragment.value_type(*input))).collect();
        let Some([q, k, v]) = shapes.as_deref() else { return Ok(None) };
        let (groups, shared) = (Dim::Fixed(k.n_heads), Dim::Fixed(q.n_heads / k.n_heads));
        let mut shaped = |value: ValueId, dims: Vec<Dim>, order: &[u32]| {
            let value = fragment.one(Reshape { dims }, &[value])?;
            fragment.one(Transpose { order: order.to_vec() }, &[value])
        };
        let one = Dim::Fixed(1);
        let queries = shaped(inputs[0], vec![TOKENS, groups, shared, Dim::Fixed(q.width)], &[1, 2, 0, 3])?;
        let keys = shaped(inputs[1], vec![Dim::Positions, groups, one, Dim::Fixed(k.width)], &[1, 2, 0, 3])?;
        let values =
            shaped(inputs[2], vec![Dim::Positions, groups, one, Dim::Fixed(v.width)], &[1, 2, 3, 0])?;
        let products = fragment.one(BatchMatmul {}, &[queries, keys])?;
        let mut scores = fragment.one(Scale { factor: self.scale }, &[products])?;
        if let Some(cap) = self.soft_cap {
            scores = fragment.one(SoftCap { cap }, &[scores])?;
        }
        let mask = fragment.one(CausalMask { window: self.window }, &[])?;
        let masked = fragment.one(Add {}, &[scores, mask])?;
        let weights = fragment.one(Softmax {}, &[masked])?;
        let mixed = fragment.one(BatchMatmul {}, &[weights, values])?;
        let mixed = fragment.one(Transpose { order: vec![2, 0, 1, 3] }, &[mixed])?;
        let dims = vec![TOKENS, Dim::Fixed(q.n_heads), Dim::Fixed(v.width)];
        Ok(Some(vec![fragment.one(Reshape { dims }, &[mixed])?]))
    }
}

impl Attention {
    fn bend(self, score: f32) -> f32 {
        self.soft_cap.map_or(score, |cap| cap * math::tanh_f32(score / cap))
    }
}

/// Dimensions of the inputs.
#[derive(Clone, Copy)]
struct Shape {
    rows: Dim,
    n_heads: u32,
    width: u32,
}

impl Shape {
    fn of(value_type: &ValueType) -> Option<Self> {
        match value_type.dims[..] {
            [rows, Dim::Fixed(n_heads), Dim::Fixed(width)] => Some(Self { rows, n_heads, width }),
            _ => None,
        }
    }
}
