//! `tanh(x)`, element by element. Primitive.

use mc_tensor::math;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::GraphError;
use crate::operator::{self, Operator};
use crate::operators::rule;
use crate::scope::Scope;
use crate::tensor::Tensor;
use crate::value_type::ValueType;

/// `tanh(x)`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Tanh {}

/// Its name.
pub(crate) const NAME: &str = "tanh";

impl Operator for Tanh {
    fn name(&self) -> &'static str {
        NAME
    }

    fn attributes(&self) -> Value {
        operator::attributes(self)
    }

    fn types(&self, inputs: &[&ValueType]) -> Result<Vec<ValueType>, GraphError> {
        let [input] = rule::reals(NAME, inputs)?;
        Ok(vec![input.clone()])
    }

    fn evaluate(&self, inputs: &[&Tensor], _: &mut Scope<'_>) -> Vec<Tensor> {
        vec![inputs[0].map(math::tanh_f32)]
    }
}
