//! A range of the last dimension: `x[…, start .. start + len]`. Primitive.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::GraphError;
use crate::operator::{self, Operator};
use crate::operators::rule;
use crate::scope::Scope;
use crate::tensor::Tensor;
use crate::value_type::ValueType;

/// `x[…, start .. start + len]`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Slice {
    /// The first column.
    pub start: u32,
    /// Number of columns.
    pub len: u32,
}

/// Its name.
pub(crate) const NAME: &str = "slice";

impl Operator for Slice {
    fn name(&self) -> &'static str {
        NAME
    }

    fn attributes(&self) -> Value {
        operator::attributes(self)
    }

    fn types(&self, inputs: &[&ValueType]) -> Result<Vec<ValueType>, GraphError> {
        let [input] = rule::reals(NAME, inputs)?;
        let end = self.start.checked_add(self.len).filter(|_| self.len > 0);
        match (end, input.width()) {
            (Some(end), Some(width)) if end <= width => Ok(vec![input.with_width(self.len)]),
            _ => {
                let expected = format!("rows with columns from {} on, {} of them", self.start, self.len);
                Err(rule::misfit(NAME, expected, inputs))
            }
        }
    }

    fn evaluate(&self, inputs: &[&Tensor], _: &mut Scope<'_>) -> Vec<Tensor> {
        let (start, len) = (self.start as usize, self.len as usize);
        vec![inputs[0].map_rows(len, |row, out| out.extend_from_slice(&row[start..start + len]))]
    }
}
