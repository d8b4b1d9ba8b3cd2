//! Concatenates tensors along the last dimension. Primitive.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::GraphError;
use crate::operator::{self, Operator};
use crate::operators::rule;
use crate::scope::Scope;
use crate::tensor::Tensor;
use crate::value_type::{Element, ValueType};

/// Concatenation along the last dimension.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Concat {}

/// Its name.
pub(crate) const NAME: &str = "concat";

impl Operator for Concat {
    fn name(&self) -> &'static str {
        NAME
    }

    fn attributes(&self) -> Value {
        operator::attributes(self)
    }

    fn types(&self, inputs: &[&ValueType]) -> Result<Vec<ValueType>, GraphError> {
        let misfit = || rule::misfit(NAME, "real numbers that agree in all but the last dimension", inputs);
        let [first, ..] = inputs else { return Err(misfit()) };
        let mut width = 0_u32;
        for input in inputs {
            let is_alike = input.element == Element::Real
                && input.dims.len() == first.dims.len()
                && input.dims.iter().rev().skip(1).eq(first.dims.iter().rev().skip(1));
            let sum = input.width().filter(|_| is_alike).and_then(|more| width.checked_add(more));
            width = sum.ok_or_else(misfit)?;
        }
        Ok(vec![first.with_width(width)])
    }

    fn evaluate(&self, inputs: &[&Tensor], _: &mut Scope<'_>) -> Vec<Tensor> {
        let mut shape = inputs[0].shape.clone();
        let n_rows = inputs[0].values.len() / inputs[0].width();
        let width = inputs.iter().map(|input| input.width()).sum();
        *shape.last_mut().expect("the shape rule asks for a last dimension") = width;
        let mut values = Vec::with_capacity(n_rows * width);
        for row in 0..n_rows {
            for input in inputs {
                values.extend_from_slice(&input.values[row * input.width()..][..input.width()]);
            }
        }
        vec![Tensor::new(shape, values)]
    }
}
