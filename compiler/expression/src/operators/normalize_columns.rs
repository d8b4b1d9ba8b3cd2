//! `normalize_columns(OF, LENGTHS)`: scales each column to a given length (DoRA of embeddings).
//!
//! `of[.., col] * (length[col] / ||of[.., col]||)`. The squares of a column are summed in f64 from the first row to the
//! last, in a pass over the whole operand before any row is computed.

use std::fmt;

use crate::error::EvaluationError;
use crate::evaluator::{Evaluator, TILE_ELEMENTS};
use crate::expression::{Operator, OperatorName, TensorExpr};
use crate::inputs::Inputs;
use crate::parser::{OperatorRow, Parsed, Parser};
use crate::rows::Rows;

const NAME: OperatorName = OperatorName::new("normalize_columns");

pub(crate) const ROW: OperatorRow = OperatorRow {
    name: NAME,
    parse,
    #[cfg(test)]
    draw: tests::draw,
};

/// Scales each column to a given length: `of[.., col] * (length[col] / ||of[.., col]||)`.
#[derive(Clone)]
pub struct NormalizeColumns {
    /// The matrix `[out, in]`.
    pub of: TensorExpr,
    /// The lengths `[in]`.
    pub magnitude: TensorExpr,
}

fn parse(parser: &mut Parser<'_>) -> Parsed<TensorExpr> {
    let of = parser.expression()?;
    Ok(TensorExpr::new(NormalizeColumns { of, magnitude: parser.then(Parser::expression)? }))
}

impl Operator for NormalizeColumns {
    fn name(&self) -> OperatorName {
        NAME
    }

    fn print(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}, {}", self.of, self.magnitude)
    }

    fn shape(&self) -> Vec<u64> {
        self.of.shape()
    }

    fn map_inputs(&self, renumber: &dyn Fn(usize) -> usize) -> TensorExpr {
        let (of, magnitude) = (self.of.map_inputs(renumber), self.magnitude.map_inputs(renumber));
        TensorExpr::new(Self { of, magnitude })
    }

    fn evaluate(&self, inputs: &dyn Inputs) -> Result<Box<dyn Rows>, EvaluationError> {
        let of = Evaluator::new(&self.of, inputs)?;
        let lengths = Evaluator::new(&self.magnitude, inputs)?.all(inputs)?;
        if lengths.len() != of.n_cols() {
            let message = format!("A matrix of {} columns has {} column lengths", of.n_cols(), lengths.len());
            return Err(EvaluationError::misfit(message));
        }
        let norms = column_norms(&of, inputs)?;
        let factors = lengths.iter().zip(norms).map(|(length, norm)| length / norm).collect();
        Ok(Box::new(Normalized { of, factors }))
    }
}

/// The Euclidean length of each column.
fn column_norms(of: &Evaluator, inputs: &dyn Inputs) -> Result<Vec<f32>, EvaluationError> {
    let mut sums = vec![0.0_f64; of.n_cols()];
    for tile in of.tiles(TILE_ELEMENTS) {
        inputs.go_on()?;
        let mut values = vec![0.0; tile.n_rows * of.n_cols()];
        of.rows(tile.first, &mut values)?;
        for row in values.chunks_exact(of.n_cols()) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += f64::from(*value) * f64::from(*value);
            }
        }
    }
    Ok(sums.into_iter().map(|sum| sum.sqrt() as f32).collect())
}

struct Normalized {
    of: Evaluator,
    factors: Vec<f32>,
}

impl Rows for Normalized {
    fn rows(&self, first: u64, n_cols: usize, out: &mut [f32]) -> Result<(), EvaluationError> {
        self.of.rows(first, out)?;
        for row in out.chunks_exact_mut(n_cols) {
            row.iter_mut().zip(&self.factors).for_each(|(value, factor)| *value *= factor);
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
    use crate::operators::load::Load;

    pub(super) fn draw(draw: &mut Draw, shape: &[u64]) -> Option<TensorExpr> {
        let [_, n_cols] = shape else { return None };
        let magnitude = draw.expression(&[*n_cols]);
        Some(TensorExpr::new(NormalizeColumns { of: draw.expression(shape), magnitude }))
    }

    fn load(input: usize, shape: &[u64]) -> TensorExpr {
        TensorExpr::new(Load { input, dtype: DType::F32, shape: shape.to_vec() })
    }

    #[test]
    fn each_column_gets_its_length() {
        let (of, magnitude) = (load(0, &[2, 2]), load(1, &[2]));
        let expression = TensorExpr::new(NormalizeColumns { of: of.clone(), magnitude });
        assert_eq!(
            expression.map_inputs(&|input| input + 5).to_string(),
            "normalize_columns(load($5, F32, [2, 2]), load($6, F32, [2]))"
        );
        let values: [&[f32]; 2] = [&[3.0, 0.0, 4.0, -2.0], &[10.0, 1.0]];
        assert_eq!(all(&expression, &values), [6.0, 0.0, 8.0, -1.0]);
        let short = TensorExpr::new(NormalizeColumns { of, magnitude: load(1, &[1]) });
        assert_eq!(misfit(&short, &[values[0], &[1.0]]), "A matrix of 2 columns has 1 column lengths");
    }
}
