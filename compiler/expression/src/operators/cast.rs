//! `cast(BF16, OF)`: every element rounded to a type, to nearest and ties to even, and widened again if another
//! operator follows.

use std::fmt;

use mc_tensor::convert;
use mc_tensor::dtype::DType;

use crate::error::EvaluationError;
use crate::evaluator::Evaluator;
use crate::expression::{Operator, OperatorName, TensorExpr};
use crate::inputs::Inputs;
use crate::parser::{OperatorRow, Parsed, Parser};
use crate::rows::Rows;

const NAME: OperatorName = OperatorName::new("cast");

pub(crate) const ROW: OperatorRow = OperatorRow {
    name: NAME,
    parse,
    #[cfg(test)]
    draw: tests::draw,
};

/// Every element rounded to a type.
#[derive(Clone)]
pub struct Cast {
    /// The type.
    pub dtype: DType,
    /// The operand.
    pub of: TensorExpr,
}

fn parse(parser: &mut Parser<'_>) -> Parsed<TensorExpr> {
    Ok(TensorExpr::new(Cast { dtype: parser.dtype()?, of: parser.then(Parser::expression)? }))
}

impl Operator for Cast {
    fn name(&self) -> OperatorName {
        NAME
    }

    fn print(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}, {}", self.dtype, self.of)
    }

    fn shape(&self) -> Vec<u64> {
        self.of.shape()
    }

    fn map_inputs(&self, renumber: &dyn Fn(usize) -> usize) -> TensorExpr {
        TensorExpr::new(Self { dtype: self.dtype, of: self.of.map_inputs(renumber) })
    }

    fn element_type(&self) -> DType {
        self.dtype
    }

    fn evaluate(&self, inputs: &dyn Inputs) -> Result<Box<dyn Rows>, EvaluationError> {
        if !self.dtype.is_weight() {
            return Err(EvaluationError::misfit(format!("Weights cannot be rounded to type {}", self.dtype)));
        }
        Ok(Box::new(Rounded { dtype: self.dtype, of: Evaluator::new(&self.of, inputs)? }))
    }
}

struct Rounded {
    dtype: DType,
    of: Evaluator,
}

impl Rows for Rounded {
    fn rows(&self, first: u64, _n_cols: usize, out: &mut [f32]) -> Result<(), EvaluationError> {
        self.of.rows(first, out)?;
        convert::round_through(self.dtype, out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;
    use crate::memory::{all, misfit};
    use crate::operators::load::Load;

    pub(super) fn draw(draw: &mut Draw, shape: &[u64]) -> Option<TensorExpr> {
        let dtype = draw.one_of(&[DType::BF16, DType::F16, DType::F32]);
        Some(TensorExpr::new(Cast { dtype, of: draw.expression(shape) }))
    }

    #[test]
    fn elements_are_rounded_to_even() {
        let cast = |dtype| {
            let of = TensorExpr::new(Load { input: 0, dtype: DType::F32, shape: vec![1, 2] });
            TensorExpr::new(Cast { dtype, of })
        };
        let expression = cast(DType::BF16);
        assert_eq!(expression.to_string(), "cast(BF16, load($0, F32, [1, 2]))");
        assert_eq!(expression.element_type(), DType::BF16);
        assert_eq!(all(&expression, &[&[1.0 + 1.0 / 256.0, 1.0 + 3.0 / 256.0]]), [1.0, 1.0 + 1.0 / 64.0]);
        assert_eq!(misfit(&cast(DType::I32), &[&[1.0, 2.0]]), "Weights cannot be rounded to type I32");
    }
}
