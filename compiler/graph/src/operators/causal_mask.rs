//! Zero if a token sees a position, otherwise minus infinity: `[tokens, positions]`. Primitive.
//!
//! The token at position `p` sees `j` if `j <= p` and, with a window, `p - window < j`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::GraphError;
use crate::operator::{self, Operator};
use crate::operators::rule;
use crate::scope::Scope;
use crate::tensor::Tensor;
use crate::value_type::{Dim, TOKENS, ValueType};

/// The mask: zero or minus infinity.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct CausalMask {
    /// Number of positions that a token attends to, including itself; `None` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<u32>,
}

/// Its name.
pub(crate) const NAME: &str = "causal_mask";

impl Operator for CausalMask {
    fn name(&self) -> &'static str {
        NAME
    }

    fn attributes(&self) -> Value {
        operator::attributes(self)
    }

    fn types(&self, inputs: &[&ValueType]) -> Result<Vec<ValueType>, GraphError> {
        let [] = rule::inputs(NAME, inputs)?;
        Ok(vec![ValueType::real([TOKENS, Dim::Positions])])
    }

    fn evaluate(&self, _: &[&Tensor], scope: &mut Scope<'_>) -> Vec<Tensor> {
        let lengths = scope.lengths;
        let window = self.window.map_or(usize::MAX, |window| window as usize);
        let sees = |position: usize, other: usize| other <= position && position - other < window;
        let value = |sees: bool| if sees { 0.0 } else { f32::NEG_INFINITY };
        let values = (lengths.first_position..lengths.n_positions())
            .flat_map(|position| (0..lengths.n_positions()).map(move |other| value(sees(position, other))));
        vec![Tensor::new(vec![lengths.n_tokens, lengths.n_positions()], values.collect())]
    }
}
