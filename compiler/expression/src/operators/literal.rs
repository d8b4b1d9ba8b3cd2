//! `literal(3f80000040000000)`: numbers from the configuration, such as rotary factors.

use std::fmt;

use crate::error::EvaluationError;
use crate::expression::{Operator, OperatorName, TensorExpr};
use crate::inputs::Inputs;
use crate::parser::{OperatorRow, Parsed, Parser};
use crate::rows::Rows;
use crate::text::Float;

const NAME: OperatorName = OperatorName::new("literal");

pub(crate) const ROW: OperatorRow = OperatorRow {
    name: NAME,
    parse,
    #[cfg(test)]
    draw: tests::draw,
};

/// Numbers from the configuration.
#[derive(Clone)]
pub struct Literal {
    /// The numbers, as a vector.
    pub values: Vec<f32>,
}

fn parse(parser: &mut Parser<'_>) -> Parsed<TensorExpr> {
    let mut values = Vec::new();
    while !parser.is_at(")") {
        values.push(parser.float()?);
    }
    Ok(TensorExpr::new(Literal { values }))
}

impl Operator for Literal {
    fn name(&self) -> OperatorName {
        NAME
    }

    fn print(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.values.iter().try_for_each(|value| write!(formatter, "{}", Float(*value)))
    }

    fn shape(&self) -> Vec<u64> {
        vec![self.values.len() as u64]
    }

    fn map_inputs(&self, _renumber: &dyn Fn(usize) -> usize) -> TensorExpr {
        TensorExpr::new(self.clone())
    }

    fn evaluate(&self, _inputs: &dyn Inputs) -> Result<Box<dyn Rows>, EvaluationError> {
        Ok(Box::new(OneRow(self.values.clone())))
    }
}

struct OneRow(Vec<f32>);

impl Rows for OneRow {
    fn rows(&self, _first: u64, _n_cols: usize, out: &mut [f32]) -> Result<(), EvaluationError> {
        out.copy_from_slice(&self.0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;
    use crate::memory::all;

    pub(super) fn draw(draw: &mut Draw, shape: &[u64]) -> Option<TensorExpr> {
        let [n] = shape else { return None };
        Some(TensorExpr::new(Literal { values: draw.floats((*n).min(1 << 8)) })).filter(|_| *n <= 1 << 8)
    }

    #[test]
    fn numbers_are_a_vector() {
        let expression = TensorExpr::new(Literal { values: vec![1.0, -2.0] });
        assert_eq!(expression.to_string(), "literal(3f800000c0000000)");
        assert_eq!(expression.shape(), [2]);
        assert_eq!(all(&expression, &[]), [1.0, -2.0]);
        assert_eq!(all(&TensorExpr::new(Literal { values: Vec::new() }), &[]), [0.0; 0]);
    }
}
