//! Product with a weight, `x W^T`: `[…, k]` and `[m, k]` to `[…, m]`. Primitive.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::GraphError;
use crate::operator::{self, Operator};
use crate::operators::rule;
use crate::scope::Scope;
use crate::tensor::Tensor;
use crate::value_type::{Dim, ValueType};

/// `x W^T`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Matmul {}

/// Its name.
pub(crate) const NAME: &str = "matmul";

impl Operator for Matmul {
    fn name(&self) -> &'static str {
        NAME
    }

    fn attributes(&self) -> Value {
        operator::attributes(self)
    }

    fn types(&self, inputs: &[&ValueType]) -> Result<Vec<ValueType>, GraphError> {
        let [input, weight] = rule::reals(NAME, inputs)?;
        match (input.width(), weight.dims.as_slice()) {
            (Some(width), [Dim::Fixed(n_rows), Dim::Fixed(n_columns)]) if width == *n_columns => {
                Ok(vec![input.with_width(*n_rows)])
            }
            _ => Err(rule::misfit(NAME, "rows as long as those of the matrix", inputs)),
        }
    }

    fn evaluate(&self, inputs: &[&Tensor], _: &mut Scope<'_>) -> Vec<Tensor> {
        let weight = inputs[1];
        vec![inputs[0].map_rows(weight.shape[0], |row, out| {
            out.extend(weight.rows().map(|of_weight| dot(row, of_weight)));
        })]
    }
}

/// Sum of the products, in ascending order.
pub(crate) fn dot(left: &[f32], right: &[f32]) -> f32 {
    left.iter().zip(right).map(|(a, b)| a * b).sum()
}
