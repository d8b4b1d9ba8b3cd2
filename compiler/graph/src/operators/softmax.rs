//! `exp(x) / sum(exp(x))` along the last dimension.

use mc_tensor::math;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::GraphError;
use crate::ids::ValueId;
use crate::operator::{self, Fragment, Operator};
use crate::operators::div::Div;
use crate::operators::exp::Exp;
use crate::operators::reduce_max::ReduceMax;
use crate::operators::reduce_sum::ReduceSum;
use crate::operators::rule;
use crate::operators::sub::Sub;
use crate::scope::Scope;
use crate::tensor::Tensor;
use crate::value_type::ValueType;

/// `exp(x) / sum(exp(x))`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Softmax {}

/// Its name.
pub(crate) const NAME: &str = "softmax";

impl Operator for Softmax {
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
        vec![inputs[0].map_rows(inputs[0].width(), |row, out| {
            let greatest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let powers: Vec<f32> = row.iter().map(|x| math::exp_f32(x - greatest)).collect();
            let sum: f32 = powers.iter().sum();
            out.extend(powers.iter().map(|power| power / sum));
        })]
    }

    fn decompose(
        &self,
        fragment: &mut dyn Fragment,
        inputs: &[ValueId],
    ) -> Result<Option<Vec<ValueId>>, GraphError> {
        let greatest = fragment.one(ReduceMax {}, inputs)?;
        let below = fragment.one(Sub {}, &[inputs[0], greatest])?;
        let powers = fragment.one(Exp {}, &[below])?;
        let sum = fragment.one(ReduceSum {}, &[powers])?;
        Ok(Some(vec![fragment.one(Div {}, &[powers, sum])?]))
    }
}
