//! `scale(OF, 40000000)`: multiplies every element by a factor.

use std::fmt;

use crate::error::EvaluationError;
use crate::evaluator::Evaluator;
use crate::expression::{Operator, OperatorName, TensorExpr};
use crate::inputs::Inputs;
use crate::parser::{OperatorRow, Parsed, Parser};
use crate::rows::Rows;
use crate::text::Float;

const NAME: OperatorName = OperatorName::new("scale");

pub(crate) const ROW: OperatorRow = OperatorRow {
    name: NAME,
    parse,
    #[cfg(test)]
    draw: tests::draw,
};

/// Multiplies every element by a factor.
#[derive(Clone)]
pub struct Scale {
    /// The operand.
    pub of: TensorExpr,
    /// The factor.
    pub factor: f32,
}

fn parse(parser: &mut Parser<'_>) -> Parsed<TensorExpr> {
    Ok(TensorExpr::new(Scale { of: parser.expression()?, factor: parser.then(Parser::float)? }))
}

impl Operator for Scale {
    fn name(&self) -> OperatorName {
        NAME
    }

    fn print(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}, {}", self.of, Float(self.factor))
    }

    fn shape(&self) -> Vec<u64> {
        self.of.shape()
    }

    fn map_inputs(&self, renumber: &dyn Fn(usize) -> usize) -> TensorExpr {
        TensorExpr::new(Self { of: self.of.map_inputs(renumber), factor: self.factor })
    }

    fn evaluate(&self, inputs: &dyn Inputs) -> Result<Box<dyn Rows>, EvaluationError> {
        Ok(Box::new(Scaled { of: Evaluator::new(&self.of, inputs)?, factor: self.factor }))
    }
}

struct Scaled {
    of: Evaluator,
    factor: f32,
}

impl Rows for Scaled {
    fn rows(&self, first: u64, _n_cols: usize, out: &mut [f32]) -> Result<(), EvaluationError> {
        self.of.rows(first, out)?;
        out.iter_mut().for_each(|value| *value *= self.factor);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use mc_tensor::dtype::DType;

    use super::*;
    use crate::draw::Draw;
    use crate::memory::all;
    use crate::operators::load::Load;

    pub(super) fn draw(draw: &mut Draw, shape: &[u64]) -> Option<TensorExpr> {
        Some(TensorExpr::new(Scale { of: draw.expression(shape), factor: draw.float() }))
    }

    #[test]
    fn every_element_is_multiplied() {
        let of = TensorExpr::new(Load { input: 0, dtype: DType::F32, shape: vec![4, 1] });
        let expression = TensorExpr::new(Scale { of, factor: 2.0 }).map_inputs(&|input| input + 1);
        assert_eq!(expression.to_string(), "scale(load($1, F32, [4, 1]), 40000000)");
        assert_eq!(all(&expression, &[&[], &[1.0, 2.0, 3.0, 4.0]]), [2.0, 4.0, 6.0, 8.0]);
    }
}
