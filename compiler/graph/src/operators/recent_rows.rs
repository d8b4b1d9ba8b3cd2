//! Prepends the last earlier rows to the rows of a batch, and stores those of the batch: `[tokens, width]` to
//! `[tokens + n_before, width]`. Rows before the first position are zero. Primitive.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::GraphError;
use crate::ids::StateId;
use crate::operator::{self, Operator};
use crate::operators::rule;
use crate::scope::Scope;
use crate::tensor::Tensor;
use crate::value_type::{Dim, TOKENS, ValueType};

/// The rows of a batch, preceded by the last earlier ones.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct RecentRows {
    /// The state that stores the rows.
    pub state: StateId,
    /// Number of preceding rows.
    pub n_before: u32,
}

/// Its name.
pub(crate) const NAME: &str = "recent_rows";

impl Operator for RecentRows {
    fn name(&self) -> &'static str {
        NAME
    }

    fn attributes(&self) -> Value {
        operator::attributes(self)
    }

    fn types(&self, inputs: &[&ValueType]) -> Result<Vec<ValueType>, GraphError> {
        let [input] = rule::reals(NAME, inputs)?;
        match input.dims.as_slice() {
            [first, width] if *first == TOKENS => {
                Ok(vec![ValueType::real([Dim::Tokens(self.n_before), *width])])
            }
            _ => Err(rule::misfit(NAME, "a row for each token", inputs)),
        }
    }

    fn evaluate(&self, inputs: &[&Tensor], scope: &mut Scope<'_>) -> Vec<Tensor> {
        let (width, n_before) = (inputs[0].width(), self.n_before as usize);
        let all = scope.extend(self.state, inputs[0]);
        let first = scope.lengths.first_position;
        let mut values = vec![0.0; n_before.saturating_sub(first) * width];
        values.extend_from_slice(&all.values[first.saturating_sub(n_before) * width..]);
        vec![Tensor::new(vec![scope.lengths.n_tokens + n_before, width], values)]
    }

    fn is_pure(&self) -> bool {
        false
    }
}
