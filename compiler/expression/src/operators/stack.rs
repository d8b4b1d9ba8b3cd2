//! `stack(A, B, C)`: tensors of one shape, one after another along a new slowest dimension, such as a layer's experts.

use std::fmt;

use mc_encoding::codec::Codec;
use mc_tensor::dtype::DType;

use crate::error::EvaluationError;
use crate::evaluator::Evaluator;
use crate::expression::{Operator, OperatorName, TensorExpr};
use crate::inputs::Inputs;
use crate::joined::Joined;
use crate::parser::{OperatorRow, Parsed, Parser};
use crate::rows::Rows;
use crate::text::List;

const NAME: OperatorName = OperatorName::new("stack");

pub(crate) const ROW: OperatorRow = OperatorRow {
    name: NAME,
    parse,
    #[cfg(test)]
    draw: tests::draw,
};

/// Tensors of one shape, one after another along a new slowest dimension.
#[derive(Clone)]
pub struct Stack {
    /// The tensors; at least one.
    pub of: Vec<TensorExpr>,
}

fn parse(parser: &mut Parser<'_>) -> Parsed<TensorExpr> {
    Ok(TensorExpr::new(Stack { of: parser.expressions()? }))
}

impl Operator for Stack {
    fn name(&self) -> OperatorName {
        NAME
    }

    fn print(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", List(&self.of))
    }

    fn shape(&self) -> Vec<u64> {
        let part = self.of.first().map(TensorExpr::shape).unwrap_or_default();
        [vec![self.of.len() as u64], part].concat()
    }

    fn map_inputs(&self, renumber: &dyn Fn(usize) -> usize) -> TensorExpr {
        TensorExpr::new(Self { of: self.of.iter().map(|part| part.map_inputs(renumber)).collect() })
    }

    fn element_type(&self) -> DType {
        self.of.first().map_or(DType::F32, TensorExpr::element_type)
    }

    fn stored_codec(&self) -> Option<&'static Codec> {
        let first = self.of.first()?.stored_codec()?;
        self.of.iter().all(|part| part.stored_codec() == Some(first)).then_some(first)
    }

    fn evaluate(&self, inputs: &dyn Inputs) -> Result<Box<dyn Rows>, EvaluationError> {
        let shape = self.of.first().map(TensorExpr::shape).unwrap_or_default();
        if self.of.iter().any(|part| part.shape() != shape) {
            return Err(EvaluationError::misfit("Only tensors of the same shape can be stacked"));
        }
        let parts = self.of.iter().map(|part| Evaluator::new(part, inputs)).collect::<Result<_, _>>()?;
        Ok(Box::new(Joined::new(parts, 1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;
    use crate::memory::{Memory, all, floats, misfit};
    use crate::operators::load::Load;

    pub(super) fn draw(draw: &mut Draw, shape: &[u64]) -> Option<TensorExpr> {
        let [n_parts, part @ ..] = shape else { return None };
        // Parts without dimensions are scalars and not rows.
        let is_fitting = (1..6).contains(n_parts) && !part.is_empty();
        (is_fitting || draw.is_wild()).then(|| {
            let of = (0..(*n_parts).clamp(1, 5)).map(|_| draw.expression(part)).collect();
            TensorExpr::new(Stack { of })
        })
    }

    fn load(input: usize, shape: &[u64]) -> TensorExpr {
        TensorExpr::new(Load { input, dtype: DType::F32, shape: shape.to_vec() })
    }

    #[test]
    fn a_tile_may_span_the_parts_of_a_stack() {
        let stack = TensorExpr::new(Stack { of: vec![load(0, &[2, 2]), load(1, &[2, 2])] });
        assert_eq!(stack.shape(), [2, 2, 2]);
        assert_eq!(stack.to_string(), "stack(load($0, F32, [2, 2]), load($1, F32, [2, 2]))");
        let inputs: [&[f32]; 2] = [&[1.0, 2.0, 3.0, 4.0], &[5.0, 6.0, 7.0, 8.0]];
        assert_eq!(all(&stack, &inputs), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
        let evaluator = Evaluator::new(&stack, &Memory(inputs.map(floats).to_vec())).unwrap();
        assert_eq!(evaluator.stored_rows(1, 2).unwrap(), floats(&[3.0, 4.0, 5.0, 6.0]));
        assert_eq!(stack.stored_codec().unwrap().name, "F32");
        let other = TensorExpr::new(Load { input: 1, dtype: DType::F16, shape: vec![2, 2] });
        assert_eq!(TensorExpr::new(Stack { of: vec![load(0, &[2, 2]), other] }).stored_codec(), None);
    }

    #[test]
    fn parts_have_the_same_shape() {
        let stack = TensorExpr::new(Stack { of: vec![load(0, &[2, 2]), load(1, &[4, 1])] });
        assert_eq!(misfit(&stack, &[&[0.0; 4], &[0.0; 4]]), "Only tensors of the same shape can be stacked");
    }
}
