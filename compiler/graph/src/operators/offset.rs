//! `x + term`, element by element. Primitive.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::GraphError;
use crate::operator::{self, Operator};
use crate::operators::rule;
use crate::scope::Scope;
use crate::tensor::Tensor;
use crate::value_type::ValueType;

/// `x + term`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Offset {
    /// The term.
    pub term: f32,
}

/// Its name.
pub(crate) const NAME: &str = "offset";

impl Operator for Offset {
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
        vec![inputs[0].map(|x| x + self.term)]
    }
}
