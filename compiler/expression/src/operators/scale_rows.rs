//! `scale_rows(OF, BY)`: multiplies each row by its own factor, `of[row, col] * by[row]`, in f32.
//!
//! The factors are an expression with as many elements as rows, in any shape.

use std::fmt;

use crate::error::EvaluationError;
use crate::evaluator::Evaluator;
use crate::expression::{Operator, OperatorName, TensorExpr};
use crate::inputs::Inputs;
use crate::parser::{OperatorRow, Parsed, Parser};
use crate::rows::Rows;
use crate::text::Numbers;

const NAME: OperatorName = OperatorName::new("scale_rows");

pub(crate) const ROW: OperatorRow = OperatorRow {
    name: NAME,
    parse,
    #[cfg(test)]
    draw: tests::draw,
};

/// Multiplies each row by its own factor.
#[derive(Clone)]
pub struct ScaleRows {
    /// The operand.
    pub of: TensorExpr,
    /// The factors, one per row.
    pub by: TensorExpr,
}

fn parse(parser: &mut Parser<'_>) -> Parsed<TensorExpr> {
    Ok(TensorExpr::new(ScaleRows { of: parser.expression()?, by: parser.then(Parser::expression)? }))
}

impl Operator for ScaleRows {
    fn name(&self) -> OperatorName {
        NAME
    }

    fn print(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}, {}", self.of, self.by)
    }

    fn shape(&self) -> Vec<u64> {
        self.of.shape()
    }

    fn map_inputs(&self, renumber: &dyn Fn(usize) -> usize) -> TensorExpr {
        TensorExpr::new(Self { of: self.of.map_inputs(renumber), by: self.by.map_inputs(renumber) })
    }

    fn evaluate(&self, inputs: &dyn Inputs) -> Result<Box<dyn Rows>, EvaluationError> {
        let of = Evaluator::new(&self.of, inputs)?;
        let by = Evaluator::new(&self.by, inputs)?;
        let n_factors = of.n_rows();
        if by.n_elements() as u64 != n_factors {
            return Err(EvaluationError::misfit(format!(
                "A tensor of {n_factors} rows needs as many factors; found shape {}",
                Numbers(&self.by.shape())
            )));
        }
        Ok(Box::new(Scaled { of, factors: by.all(inputs)? }))
    }
}

struct Scaled {
    of: Evaluator,
    factors: Vec<f32>,
}

impl Rows for Scaled {
    fn rows(&self, first: u64, n_cols: usize, out: &mut [f32]) -> Result<(), EvaluationError> {
        self.of.rows(first, out)?;
        for (row, factor) in out.chunks_exact_mut(n_cols).zip(&self.factors[first as usize..]) {
            row.iter_mut().for_each(|value| *value *= factor);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use mc_tensor::dtype::DType;

    use super::*;
    use crate::draw::Draw;
    use crate::memory::{all, misfit};
    use crate::operators::literal::Literal;
    use crate::operators::load::Load;
    use crate::rows::rows_and_columns;

    pub(super) fn draw(draw: &mut Draw, shape: &[u64]) -> Option<TensorExpr> {
        let (n_rows, _) = rows_and_columns(shape);
        Some(TensorExpr::new(ScaleRows { of: draw.expression(shape), by: draw.expression(&[n_rows]) }))
    }

    #[test]
    fn each_of_the_rows_gets_its_factor() {
        let scaled = |values: &[f32]| {
            let of = TensorExpr::new(Load { input: 0, dtype: DType::F32, shape: vec![2, 2] });
            let by = TensorExpr::new(Literal { values: values.to_vec() });
            TensorExpr::new(ScaleRows { of, by })
        };
        let expression = scaled(&[2.0, 3.0]);
        assert_eq!(
            expression.map_inputs(&|input| input + 1).to_string(),
            "scale_rows(load($1, F32, [2, 2]), literal(4000000040400000))"
        );
        assert_eq!(expression.shape(), [2, 2]);
        let values: [&[f32]; 1] = [&[1.0, 2.0, 3.0, 4.0]];
        assert_eq!(all(&expression, &values), [2.0, 4.0, 9.0, 12.0]);
        let message = misfit(&scaled(&[2.0, 3.0, 4.0]), &values);
        assert_eq!(message, "A tensor of 2 rows needs as many factors; found shape [3]");
    }
}
