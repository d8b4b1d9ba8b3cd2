//! `reshape([8, 32], OF)`: the same elements with another shape that has rows of the same length.

use std::fmt;

use mc_tensor::dtype::DType;

use crate::error::EvaluationError;
use crate::expression::{Operator, OperatorName, TensorExpr};
use crate::inputs::Inputs;
use crate::parser::{OperatorRow, Parsed, Parser};
use crate::rows::{Rows, rows_and_columns};
use crate::text::Numbers;

const NAME: OperatorName = OperatorName::new("reshape");

pub(crate) const ROW: OperatorRow = OperatorRow {
    name: NAME,
    parse,
    #[cfg(test)]
    draw: tests::draw,
};

/// The same elements with another shape that has rows of the same length.
#[derive(Clone)]
pub struct Reshape {
    /// The shape.
    pub shape: Vec<u64>,
    /// The operand.
    pub of: TensorExpr,
}

fn parse(parser: &mut Parser<'_>) -> Parsed<TensorExpr> {
    Ok(TensorExpr::new(Reshape { shape: parser.shape()?, of: parser.then(Parser::expression)? }))
}

impl Operator for Reshape {
    fn name(&self) -> OperatorName {
        NAME
    }

    fn print(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}, {}", Numbers(&self.shape), self.of)
    }

    fn shape(&self) -> Vec<u64> {
        self.shape.clone()
    }

    fn map_inputs(&self, renumber: &dyn Fn(usize) -> usize) -> TensorExpr {
        TensorExpr::new(Self { shape: self.shape.clone(), of: self.of.map_inputs(renumber) })
    }

    fn element_type(&self) -> DType {
        self.of.element_type()
    }

    fn evaluate(&self, inputs: &dyn Inputs) -> Result<Box<dyn Rows>, EvaluationError> {
        if rows_and_columns(&self.shape) != rows_and_columns(&self.of.shape()) {
            return Err(EvaluationError::misfit("A tensor can only be reshaped to rows of the same length"));
        }
        self.of.evaluate(inputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;
    use crate::memory::{all, misfit};
    use crate::operators::load::Load;

    pub(super) fn draw(draw: &mut Draw, shape: &[u64]) -> Option<TensorExpr> {
        let (n_rows, n_cols) = rows_and_columns(shape);
        let of = draw.expression(&[n_rows, n_cols]);
        Some(TensorExpr::new(Reshape { shape: shape.to_vec(), of }))
    }

    #[test]
    fn a_kernel_is_squeezed_without_moving_elements() {
        let squeezed = |shape: &[u64]| {
            let of = TensorExpr::new(Load { input: 0, dtype: DType::F32, shape: vec![2, 1, 2] });
            TensorExpr::new(Reshape { shape: shape.to_vec(), of })
        };
        assert_eq!(squeezed(&[2, 2]).to_string(), "reshape([2, 2], load($0, F32, [2, 1, 2]))");
        assert_eq!(squeezed(&[2, 2]).shape(), [2, 2]);
        assert_eq!(all(&squeezed(&[2, 2]), &[&[1.0, 2.0, 3.0, 4.0]]), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(
            misfit(&squeezed(&[4, 1]), &[&[1.0, 2.0, 3.0, 4.0]]),
            "A tensor can only be reshaped to rows of the same length"
        );
    }
}
