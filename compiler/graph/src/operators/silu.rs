//! `x / (1 + exp(-x))`, element by element.

use mc_tensor::math;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::GraphError;
use crate::ids::ValueId;
use crate::operator::{self, Fragment, Operator};
use crate::operators::div::Div;
use crate::operators::exp::Exp;
use crate::operators::offset::Offset;
use crate::operators::rule;
use crate::operators::scale::Scale;
use crate::scope::Scope;
use crate::tensor::Tensor;
use crate::value_type::ValueType;

/// `x / (1 + exp(-x))`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Silu {}

/// Its name.
pub(crate) const NAME: &str = "silu";

impl Operator for Silu {
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
        vec![inputs[0].map(|x| x / (1.0 + math::exp_f32(-x)))]
    }

    fn decompose(
        &self,
        fragment: &mut dyn Fragment,
        inputs: &[ValueId],
    ) -> Result<Option<Vec<ValueId>>, GraphError> {
        let negative = fragment.one(Scale { factor: -1.0 }, inputs)?;
        let power = fragment.one(Exp {}, &[negative])?;
        let divisor = fragment.one(Offset { term: 1.0 }, &[power])?;
        Ok(Some(vec![fragment.one(Div {}, &[inputs[0], divisor])?]))
    }
}
