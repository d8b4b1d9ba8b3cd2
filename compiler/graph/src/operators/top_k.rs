//! The largest numbers along the last dimension and their indices, in descending order. Primitive.
//!
//! `[…, n]` to `[…, k]` and integers `[…, k]`. Among equal numbers, the lower index comes first.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::GraphError;
use crate::operator::{self, Operator};
use crate::operators::rule;
use crate::scope::Scope;
use crate::tensor::Tensor;
use crate::value_type::{Element, ValueType};

/// The largest numbers and their indices.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct TopK {
    /// Number of results per row.
    pub k: u32,
}

/// Its name.
pub(crate) const NAME: &str = "top_k";

impl Operator for TopK {
    fn name(&self) -> &'static str {
        NAME
    }

    fn attributes(&self) -> Value {
        operator::attributes(self)
    }

    fn types(&self, inputs: &[&ValueType]) -> Result<Vec<ValueType>, GraphError> {
        let [input] = rule::reals(NAME, inputs)?;
        if self.k == 0 || input.width().is_none_or(|width| width < self.k) {
            return Err(rule::misfit(NAME, format!("rows of at least {} numbers", self.k.max(1)), inputs));
        }
        let values = input.with_width(self.k);
        let places = ValueType { element: Element::Index, ..values.clone() };
        Ok(vec![values, places])
    }

    fn evaluate(&self, inputs: &[&Tensor], _: &mut Scope<'_>) -> Vec<Tensor> {
        let k = self.k as usize;
        let places = inputs[0].map_rows(k, |row, out| out.extend(places(row, k).map(|place| place as f32)));
        let values = inputs[0].map_rows(k, |row, out| out.extend(places_of(row, k)));
        vec![values, places]
    }
}

fn places_of(row: &[f32], k: usize) -> impl Iterator<Item = f32> {
    places(row, k).map(|place| row[place])
}

/// The indices of the `k` largest numbers, the largest first.
pub fn places(row: &[f32], k: usize) -> impl Iterator<Item = usize> + use<> {
    let mut places: Vec<usize> = (0..row.len()).collect();
    places.sort_by(|a, b| row[*b].total_cmp(&row[*a]).then(a.cmp(b)));
    places.into_iter().take(k)
}
