//! Reorders dimensions: dimension `i` of the result is dimension `order[i]` of the input. Primitive.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::GraphError;
use crate::operator::{self, Operator};
use crate::operators::rule;
use crate::scope::Scope;
use crate::tensor::{Tensor, strides};
use crate::value_type::ValueType;

/// A permutation of dimensions.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Transpose {
    /// A permutation of the dimensions.
    pub order: Vec<u32>,
}

/// Its name.
pub(crate) const NAME: &str = "transpose";

impl Operator for Transpose {
    fn name(&self) -> &'static str {
        NAME
    }

    fn attributes(&self) -> Value {
        operator::attributes(self)
    }

    fn types(&self, inputs: &[&ValueType]) -> Result<Vec<ValueType>, GraphError> {
        let [input] = rule::inputs(NAME, inputs)?;
        let mut sorted = self.order.clone();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..input.dims.len() as u32) {
            return Err(rule::misfit(NAME, format!("{} dimensions", self.order.len()), inputs));
        }
        let dims: Vec<_> = self.order.iter().map(|axis| input.dims[*axis as usize]).collect();
        Ok(vec![ValueType { dims, element: input.element }])
    }

    fn evaluate(&self, inputs: &[&Tensor], _: &mut Scope<'_>) -> Vec<Tensor> {
        let input = inputs[0];
        let shape: Vec<usize> = self.order.iter().map(|axis| input.shape[*axis as usize]).collect();
        let (steps, input_steps) = (strides(&shape), strides(&input.shape));
        let element = |index: usize| {
            let place =
                |axis: usize| index / steps[axis] % shape[axis] * input_steps[self.order[axis] as usize];
            input.values[(0..shape.len()).map(place).sum::<usize>()]
        };
        let values = (0..input.values.len()).map(element).collect();
        vec![Tensor::new(shape, values)]
    }
}
