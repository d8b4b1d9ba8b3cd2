//! Root-mean-square norm along the last dimension: `x / sqrt(mean(x^2) + epsilon) * weight`.
//!
//! * `x`: `[…, n]`, `weight`: `[n]`
//!
//! Source: Zhang and Sennrich 2019, arXiv:1910.07467.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::GraphError;
use crate::ids::ValueId;
use crate::operator::{self, Fragment, Operator};
use crate::operators::mul::Mul;
use crate::operators::offset::Offset;
use crate::operators::reduce_mean::ReduceMean;
use crate::operators::rsqrt::Rsqrt;
use crate::operators::rule;
use crate::scope::Scope;
use crate::tensor::Tensor;
use crate::value_type::ValueType;

/// `x / sqrt(mean(x^2) + epsilon) * weight`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct RmsNorm {
    /// Added to the mean square.
    pub epsilon: f32,
}

/// Its name.
pub(crate) const NAME: &str = "rms_norm";

impl Operator for RmsNorm {
    fn name(&self) -> &'static str {
        NAME
    }

    fn attributes(&self) -> Value {
        operator::attributes(self)
    }

    fn types(&self, inputs: &[&ValueType]) -> Result<Vec<ValueType>, GraphError> {
        let [input, weight] = rule::reals(NAME, inputs)?;
        match (input.dims.last(), weight.dims.as_slice()) {
            (Some(last), [of_weight]) if last == of_weight => Ok(vec![input.clone()]),
            _ => Err(rule::misfit(NAME, "rows as long as the weight", inputs)),
        }
    }

    fn evaluate(&self, inputs: &[&Tensor], _: &mut Scope<'_>) -> Vec<Tensor> {
        let weight = &inputs[1].values;
        vec![inputs[0].map_rows(weight.len(), |row, out| {
            let mean = row.iter().map(|x| x * x).sum::<f32>() / row.len() as f32;
            let root = 1.0 / (mean + self.epsilon).sqrt();
            out.extend(row.iter().zip(weight).map(|(x, weight)| x * root * weight));
        })]
    }

    fn decompose(
        &self,
        fragment: &mut dyn Fragment,
        inputs: &[ValueId],
    ) -> Result<Option<Vec<ValueId>>, GraphError> {
        let squares = fragment.one(Mul {}, &[inputs[0], inputs[0]])?;
        let mean = fragment.one(ReduceMean {}, &[squares])?;
        let sum = fragment.one(Offset { term: self.epsilon }, &[mean])?;
        let root = fragment.one(Rsqrt {}, &[sum])?;
        let normed = fragment.one(Mul {}, &[inputs[0], root])?;
        Ok(Some(vec![fragment.one(Mul {}, &[normed, inputs[1]])?]))
    }
}
