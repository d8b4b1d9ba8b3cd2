//! `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`, element by element.

use mc_tensor::math;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::GraphError;
use crate::ids::ValueId;
use crate::operator::{self, Fragment, Operator};
use crate::operators::add::Add;
use crate::operators::mul::Mul;
use crate::operators::offset::Offset;
use crate::operators::rule;
use crate::operators::scale::Scale;
use crate::operators::tanh::Tanh;
use crate::scope::Scope;
use crate::tensor::Tensor;
use crate::value_type::ValueType;

/// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct GeluTanh {}

/// Its name.
pub(crate) const NAME: &str = "gelu_tanh";

/// `2 sqrt(2 / pi)`: `x / 2 * (1 + tanh(u))` is `x / (1 + exp(-2 u))`.
const TWICE_ROOT: f32 = 1.595_769;
const CUBIC: f32 = 0.044_715;

impl Operator for GeluTanh {
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
        vec![inputs[0].map(|x| {
            let inner = TWICE_ROOT * (x + CUBIC * x * x * x);
            x / (1.0 + math::exp_f32(-inner))
        })]
    }

    fn decompose(
        &self,
        fragment: &mut dyn Fragment,
        inputs: &[ValueId],
    ) -> Result<Option<Vec<ValueId>>, GraphError> {
        let square = fragment.one(Mul {}, &[inputs[0], inputs[0]])?;
        let cube = fragment.one(Mul {}, &[square, inputs[0]])?;
        let bent = fragment.one(Scale { factor: CUBIC }, &[cube])?;
        let sum = fragment.one(Add {}, &[inputs[0], bent])?;
        let inner = fragment.one(Scale { factor: TWICE_ROOT / 2.0 }, &[sum])?;
        let tanh = fragment.one(Tanh {}, &[inner])?;
        let share = fragment.one(Offset { term: 1.0 }, &[tanh])?;
        let half = fragment.one(Scale { factor: 0.5 }, inputs)?;
        Ok(Some(vec![fragment.one(Mul {}, &[half, share])?]))
    }
}
