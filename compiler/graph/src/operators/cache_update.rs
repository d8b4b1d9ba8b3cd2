//! Appends the rows of a batch to a state and returns the rows of all positions: `[tokens, …]` to `[positions, …]`.
//! Primitive.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::GraphError;
use crate::ids::StateId;
use crate::operator::{self, Operator};
use crate::operators::rule;
use crate::scope::Scope;
use crate::tensor::Tensor;
use crate::value_type::{Dim, TOKENS, ValueType};

/// Appends rows to a state.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct CacheUpdate {
    /// The state.
    pub state: StateId,
}

/// Its name.
pub(crate) const NAME: &str = "cache_update";

impl Operator for CacheUpdate {
    fn name(&self) -> &'static str {
        NAME
    }

    fn attributes(&self) -> Value {
        operator::attributes(self)
    }

    fn types(&self, inputs: &[&ValueType]) -> Result<Vec<ValueType>, GraphError> {
        let [input] = rule::reals(NAME, inputs)?;
        let mut stored = input.clone();
        match stored.dims.first_mut() {
            Some(first) if *first == TOKENS => *first = Dim::Positions,
            _ => return Err(rule::misfit(NAME, "a row for each token", inputs)),
        }
        Ok(vec![stored])
    }

    fn evaluate(&self, inputs: &[&Tensor], scope: &mut Scope<'_>) -> Vec<Tensor> {
        vec![scope.extend(self.state, inputs[0])]
    }

    fn is_pure(&self) -> bool {
        false
    }
}
