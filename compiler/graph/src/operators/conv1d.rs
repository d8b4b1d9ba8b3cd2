//! Depthwise convolution over time: `y[t, c] = sum over i of weight[c, i] * x[t + i, c]`. Primitive.
//!
//! * `x`: `[tokens + len - 1, channels]`, `weight`: `[channels, len]`, result `[tokens, channels]`
//!
//! So the last column of the kernel belongs to the token itself.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::GraphError;
use crate::operator::{self, Operator};
use crate::operators::rule;
use crate::scope::Scope;
use crate::tensor::Tensor;
use crate::value_type::{Dim, TOKENS, ValueType};

/// A kernel for each channel, over time.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Conv1d {}

/// Its name.
pub(crate) const NAME: &str = "conv1d";

impl Operator for Conv1d {
    fn name(&self) -> &'static str {
        NAME
    }

    fn attributes(&self) -> Value {
        operator::attributes(self)
    }

    fn types(&self, inputs: &[&ValueType]) -> Result<Vec<ValueType>, GraphError> {
        let [input, weight] = rule::reals(NAME, inputs)?;
        match (input.dims.as_slice(), weight.dims.as_slice()) {
            ([Dim::Tokens(more), channels], [of_weight, Dim::Fixed(len)])
                if channels == of_weight && Some(*more) == len.checked_sub(1) =>
            {
                Ok(vec![ValueType::real([TOKENS, *channels])])
            }
            _ => Err(rule::misfit(
                NAME,
                "as many earlier rows as the kernel sees, and a kernel for each column",
                inputs,
            )),
        }
    }

    fn evaluate(&self, inputs: &[&Tensor], scope: &mut Scope<'_>) -> Vec<Tensor> {
        let (input, weight) = (inputs[0], inputs[1]);
        let (n_channels, len) = (input.width(), weight.width());
        let n_tokens = scope.lengths.n_tokens;
        let element = |index: usize| -> f32 {
            let (token, channel) = (index / n_channels, index % n_channels);
            (0..len)
                .map(|i| weight.values[channel * len + i] * input.values[(token + i) * n_channels + channel])
                .sum()
        };
        let values = (0..n_tokens * n_channels).map(element).collect();
        vec![Tensor::new(vec![n_tokens, n_channels], values)]
    }
}
