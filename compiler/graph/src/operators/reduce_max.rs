//! The maximum along the last dimension, which becomes 1. Primitive.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::GraphError;
use crate::operator::{self, Operator};
use crate::operators::rule;
use crate::scope::Scope;
use crate::tensor::Tensor;
use crate::value_type::{Dim, ValueType};

/// The maximum along the last dimension.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct ReduceMax {}

/// Its name.
pub(crate) const NAME: &str = "reduce_max";

impl Operator for ReduceMax {
    fn name(&self) -> &'static str {
        NAME
    }

    fn attributes(&self) -> Value {
        operator::attributes(self)
    }

    fn types(&self, inputs: &[&ValueType]) -> Result<Vec<ValueType>, GraphError> {
        let [input] = rule::reals(NAME, inputs)?;
        let mut reduced = input.clone();
        *reduced.dims.last_mut().ok_or_else(|| rule::misfit(NAME, "a last dimension", inputs))? =
            Dim::Fixed(1);
        Ok(vec![reduced])
    }

    fn evaluate(&self, inputs: &[&Tensor], _: &mut Scope<'_>) -> Vec<Tensor> {
        vec![inputs[0].reduce(|row| row.iter().copied().fold(f32::NEG_INFINITY, f32::max))]
    }
}
