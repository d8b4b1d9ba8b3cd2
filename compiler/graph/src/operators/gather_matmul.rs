//! Products with the experts chosen for each token. Primitive.
//!
//! * `x`: `[tokens, k]`, the same for all experts of a token, or `[tokens, used, k]`
//! * `W`: `[experts, m, k]`; `chosen`: integers `[tokens, used]`
//! * result `[tokens, used, m]`: `x W[chosen]^T`

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::GraphError;
use crate::operator::{self, Operator};
use crate::operators::matmul::dot;
use crate::operators::rule;
use crate::scope::Scope;
use crate::tensor::Tensor;
use crate::value_type::{Element, ValueType};

/// `x W[chosen]^T`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct GatherMatmul {}

/// Its name.
pub(crate) const NAME: &str = "gather_matmul";

impl Operator for GatherMatmul {
    fn name(&self) -> &'static str {
        NAME
    }

    fn attributes(&self) -> Value {
        operator::attributes(self)
    }

    fn types(&self, inputs: &[&ValueType]) -> Result<Vec<ValueType>, GraphError> {
        let [input, weights, chosen] = rule::inputs(NAME, inputs)?;
        let misfit =
            || rule::misfit(NAME, "rows, a stack of matrices and the numbers of the chosen ones", inputs);
        let ([_, m, k], [tokens, used]) = (weights.dims.as_slice(), chosen.dims.as_slice()) else {
            return Err(misfit());
        };
        let is_fitting = match input.dims.as_slice() {
            [of_tokens, width] => (of_tokens, width) == (tokens, k),
            [of_tokens, of_used, width] => (of_tokens, of_used, width) == (tokens, used, k),
            _ => false,
        };
        if !is_fitting || chosen.element != Element::Index {
            return Err(misfit());
        }
        Ok(vec![ValueType::real([*tokens, *used, *m])])
    }

    fn evaluate(&self, inputs: &[&Tensor], _: &mut Scope<'_>) -> Vec<Tensor> {
        let (input, weights, chosen) = (inputs[0], inputs[1], inputs[2]);
        let (m, k) = (weights.shape[1], weights.shape[2]);
        let n_used = chosen.width();
        let mut values = Vec::with_capacity(chosen.values.len() * m);
        for (index, expert) in chosen.values.iter().enumerate() {
            let row = if input.shape.len() == 2 { index / n_used } else { index };
            let row = &input.values[row * k..][..k];
            let matrix = &weights.values[*expert as usize * m * k..][..m * k];
            values.extend(matrix.chunks_exact(k).map(|of_weight| dot(row, of_weight)));
        }
        vec![Tensor::new(vec![chosen.shape[0], n_used, m], values)]
    }
}
