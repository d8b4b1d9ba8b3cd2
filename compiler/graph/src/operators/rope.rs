//! Rotates pairs of dimensions of each head: `(a, b)` becomes `(a cos - b sin, a sin + b cos)`.
//!
//! * `x`: `[tokens, heads, head_dim]`; `cos`, `sin`: `[tokens, n_dims / 2]`
//!
//! The dimensions from `n_dims` on are unchanged.
//!
//! Source: Su et al. 2021, arXiv:2104.09864.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::GraphError;
use crate::ids::ValueId;
use crate::operator::{self, Fragment, Operator};
use crate::operators::add::Add;
use crate::operators::concat::Concat;
use crate::operators::mul::Mul;
use crate::operators::reshape::Reshape;
use crate::operators::rule;
use crate::operators::slice::Slice;
use crate::operators::sub::Sub;
use crate::rotary::RotaryPairing;
use crate::scope::Scope;
use crate::tensor::Tensor;
use crate::value_type::{Dim, ValueType};

/// Rotation of pairs of dimensions.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Rope {
    /// The pairs of dimensions that rotate together.
    pub pairing: RotaryPairing,
}

/// Its name.
pub(crate) const NAME: &str = "rope";

impl Operator for Rope {
    fn name(&self) -> &'static str {
        NAME
    }

    fn attributes(&self) -> Value {
        operator::attributes(self)
    }

    fn types(&self, inputs: &[&ValueType]) -> Result<Vec<ValueType>, GraphError> {
        let [input, cosines, sines] = rule::reals(NAME, inputs)?;
        match (input.dims.as_slice(), cosines.dims.as_slice()) {
            ([tokens, _, Dim::Fixed(head_dim)], [of_angles, Dim::Fixed(n_pairs)])
                if cosines == sines && tokens == of_angles && *n_pairs <= head_dim / 2 =>
            {
                Ok(vec![input.clone()])
            }
            _ => Err(rule::misfit(NAME, "heads, and angles for at most half of their dimensions", inputs)),
        }
    }

    fn evaluate(&self, inputs: &[&Tensor], _: &mut Scope<'_>) -> Vec<Tensor> {
        let (input, cosines, sines) = (inputs[0], inputs[1], inputs[2]);
        let (n_pairs, n_heads) = (cosines.width(), input.shape[1]);
        let mut number = 0;
        vec![input.map_rows(input.width(), |head, out| {
            let token = number / n_heads;
            number += 1;
            let mut head = head.to_vec();
            for pair in 0..n_pairs {
                let (first, second) = self.dimensions(pair, n_pairs);
                let (cos, sin) =
                    (cosines.values[token * n_pairs + pair], sines.values[token * n_pairs + pair]);
                let (a, b) = (head[first], head[second]);
                (head[first], head[second]) = (a * cos - b * sin, a * sin + b * cos);
            }
            out.extend_from_slice(&head);
        })]
    }

    fn decompose(
        &self,
        fragment: &mut dyn Fragment,
        inputs: &[ValueId],
    ) -> Result<Option<Vec<ValueId>>, GraphError> {
        let [tokens, heads, Dim::Fixed(head_dim)] = fragment.value_type(inputs[0]).dims[..] else {
            return Ok(None);
        };
        let n_pairs = fragment.value_type(inputs[1]).width().unwrap_or(0);
        // Interleaved pairs get a dimension of their own.
        let (pair_dims, halves) = match self.pairing {
            RotaryPairing::HalfSplit => (vec![tokens, heads, Dim::Fixed(2 * n_pairs)], n_pairs),
            RotaryPairing::Interleaved => (vec![tokens, heads, Dim::Fixed(n_pairs), Dim::Fixed(2)], 1),
        };
        let mut angle_dims = pair_dims.clone();
        angle_dims[1] = Dim::Fixed(1);
        *angle_dims.last_mut().expect("three or four dimensions") = Dim::Fixed(halves);
        let cosines = fragment.one(Reshape { dims: angle_dims.clone() }, &inputs[1..2])?;
        let sines = fragment.one(Reshape { dims: angle_dims }, &inputs[2..3])?;
        let turning = fragment.one(Slice { start: 0, len: 2 * n_pairs }, &inputs[..1])?;
        let pairs = fragment.one(Reshape { dims: pair_dims }, &[turning])?;
        let a = fragment.one(Slice { start: 0, len: halves }, &[pairs])?;
        let b = fragment.one(Slice { start: halves, len: halves }, &[pairs])?;
        let mut product = |left, right| fragment.one(Mul {}, &[left, right]);
        let (a_cos, b_sin, a_sin, b_cos) =
            (product(a, cosines)?, product(b, sines)?, product(a, sines)?, product(b, cosines)?);
        let first = fragment.one(Sub {}, &[a_cos, b_sin])?;
        let second = fragment.one(Add {}, &[a_sin, b_cos])?;
        let turned = fragment.one(Concat {}, &[first, second])?;
        let turned =
            fragment.one(Reshape { dims: vec![tokens, heads, Dim::Fixed(2 * n_pairs)] }, &[turned])?;
        if head_dim == 2 * n_pairs {
            return Ok(Some(vec![turned]));
        }
        let rest = fragment.one(Slice { start: 2 * n_pairs, len: head_dim - 2 * n_pairs }, &inputs[..1])?;
        Ok(Some(vec![fragment.one(Concat {}, &[turned, rest])?]))
    }
}

impl Rope {
    fn dimensions(self, pair: usize, n_pairs: usize) -> (usize, usize) {
        match self.pairing {
            RotaryPairing::HalfSplit => (pair, pair + n_pairs),
            RotaryPairing::Interleaved => (2 * pair, 2 * pair + 1),
        }
    }
}
