//! `cap * tanh(x / cap)`, element by element.

use mc_tensor::math;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::GraphError;
use crate::ids::ValueId;
use crate::operator::{self, Fragment, Operator};
use crate::operators::rule;
use crate::operators::scale::Scale;
use crate::operators::tanh::Tanh;
use crate::scope::Scope;
use crate::tensor::Tensor;
use crate::value_type::ValueType;

/// `cap * tanh(x / cap)`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct SoftCap {
    /// The bound of the output.
    pub cap: f32,
}

/// Its name.
pub(crate) const NAME: &str = "soft_cap";

impl Operator for SoftCap {
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
        vec![inputs[0].map(|x| self.cap * math::tanh_f32(x / self.cap))]
    }

    fn decompose(
        &self,
        fragment: &mut dyn Fragment,
        inputs: &[ValueId],
    ) -> Result<Option<Vec<ValueId>>, GraphError> {
        let small = fragment.one(Scale { factor: 1.0 / self.cap }, inputs)?;
        let bent = fragment.one(Tanh {}, &[small])?;
        Ok(Some(vec![fragment.one(Scale { factor: self.cap }, &[bent])?]))
    }
}
