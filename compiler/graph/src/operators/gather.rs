//! Rows of a table by index: `[n, width]` and `[tokens]` to `[tokens, width]`. Primitive.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::GraphError;
use crate::operator::{self, Operator};
use crate::operators::rule;
use crate::scope::Scope;
use crate::tensor::Tensor;
use crate::value_type::{Element, ValueType};

/// Rows of a table by index.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Gather {}

/// Its name.
pub(crate) const NAME: &str = "gather";

impl Operator for Gather {
    fn name(&self) -> &'static str {
        NAME
    }

    fn attributes(&self) -> Value {
        operator::attributes(self)
    }

    fn types(&self, inputs: &[&ValueType]) -> Result<Vec<ValueType>, GraphError> {
        let [table, rows] = rule::inputs(NAME, inputs)?;
        let ([_, width], [n_rows], Element::Index) =
            (table.dims.as_slice(), rows.dims.as_slice(), rows.element)
        else {
            return Err(rule::misfit(NAME, "a table and a list of row numbers", inputs));
        };
        Ok(vec![ValueType::real([*n_rows, *width])])
    }

    fn evaluate(&self, inputs: &[&Tensor], _: &mut Scope<'_>) -> Vec<Tensor> {
        let (table, rows) = (inputs[0], inputs[1]);
        let width = table.width();
        let row = |row: &f32| &table.values[*row as usize * width..][..width];
        let values = rows.values.iter().flat_map(row).copied().collect();
        vec![Tensor::new(vec![rows.values.len(), width], values)]
    }
}
