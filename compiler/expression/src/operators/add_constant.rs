//! `add(3f800000, OF)`: adds a number to every element, for example the 1 that containers add to a norm.

use std::fmt;

use mc_tensor::dtype::DType;

use crate::error::EvaluationError;
use crate::evaluator::Evaluator;
use crate::expression::{Operator, OperatorName, TensorExpr};
use crate::inputs::Inputs;
use crate::parser::{OperatorRow, Parsed, Parser};
use crate::rows::Rows;
use crate::text::Float;

const NAME: OperatorName = OperatorName::new("add");

pub(crate) const ROW: OperatorRow = OperatorRow {
    name: NAME,
    parse,
    #[cfg(test)]
    draw: tests::draw,
};

/// Adds a number to every element.
#[derive(Clone)]
pub struct AddConstant {
    /// The number.
    pub value: f32,
    /// The operand.
    pub of: TensorExpr,
}

fn parse(parser: &mut Parser<'_>) -> Parsed<TensorExpr> {
    Ok(TensorExpr::new(AddConstant { value: parser.float()?, of: parser.then(Parser::expression)? }))
}

impl Operator for AddConstant {
    fn name(&self) -> OperatorName {
        NAME
    }

    fn print(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}, {}", Float(self.value), self.of)
    }

    fn shape(&self) -> Vec<u64> {
        self.of.shape()
    }

    fn map_inputs(&self, renumber: &dyn Fn(usize) -> usize) -> TensorExpr {
        TensorExpr::new(Self { value: self.value, of: self.of.map_inputs(renumber) })
    }

    fn element_type(&self) -> DType {
        self.of.element_type()
    }

    fn evaluate(&self, inputs: &dyn Inputs) -> Result<Box<dyn Rows>, EvaluationError> {
        Ok(Box::new(Offset { value: self.value, of: Evaluator::new(&self.of, inputs)? }))
    }
}

struct Offset {
    value: f32,
    of: Evaluator,
}

impl Rows for Offset {
    fn rows(&self, first: u64, _n_cols: usize, out: &mut [f32]) -> Result<(), EvaluationError> {
        self.of.rows(first, out)?;
        for element in out {
            *element += self.value;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;
    use crate::memory::all;
    use crate::operators::load::Load;

    pub(super) fn draw(draw: &mut Draw, shape: &[u64]) -> Option<TensorExpr> {
        Some(TensorExpr::new(AddConstant { value: draw.float(), of: draw.expression(shape) }))
    }

    #[test]
    fn every_element_gets_the_number_added() {
        let of = TensorExpr::new(Load { input: 0, dtype: DType::F32, shape: vec![2, 2] });
        let expression = TensorExpr::new(AddConstant { value: 1.0, of });
        assert_eq!(expression.to_string(), "add(3f800000, load($0, F32, [2, 2]))");
        assert_eq!(all(&expression, &[&[1.0, 2.0, 3.0, 4.0]]), [2.0, 3.0, 4.0, 5.0]);
    }
}
