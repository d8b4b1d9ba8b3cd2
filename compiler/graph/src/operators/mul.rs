//! `a * b`, element by element; shapes are broadcast as in NumPy. Primitive.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::GraphError;
use crate::operator::{self, Operator};
use crate::operators::broadcast;
use crate::scope::Scope;
use crate::tensor::Tensor;
use crate::value_type::ValueType;

/// `a * b`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Mul {}

/// Its name.
pub(crate) const NAME: &str = "mul";

impl Operator for Mul {
    fn name(&self) -> &'static str {
        NAME
    }

    fn attributes(&self) -> Value {
        operator::attributes(self)
    }

    fn types(&self, inputs: &[&ValueType]) -> Result<Vec<ValueType>, GraphError> {
        broadcast::types(NAME, inputs)
    }

    fn evaluate(&self, inputs: &[&Tensor], _: &mut Scope<'_>) -> Vec<Tensor> {
        vec![broadcast::map(inputs[0], inputs[1], |a, b| a * b)]
    }
}
