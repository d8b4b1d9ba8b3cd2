//! `normalize_rows(OF, LENGTHS)`: scales each row to a given length (DoRA).
//!
//! `of[row] * (length[row] / ||of[row]||)`. The squares of a row are summed in sixteen lanes of f64 (column `c` in lane
//! `c mod 16`), which are then folded by halves; division and square root are exact by IEEE 754.
//!
//! Source: Liu et al. 2024, arXiv:2402.09353, section 4.1.

use std::fmt;

use crate::error::EvaluationError;
use crate::evaluator::Evaluator;
use crate::expression::{Operator, OperatorName, TensorExpr};
use crate::inputs::Inputs;
use crate::parser::{OperatorRow, Parsed, Parser};
use crate::rows::Rows;

const NAME: OperatorName = OperatorName::new("normalize_rows");

pub(crate) const ROW: OperatorRow = OperatorRow {
    name: NAME,
    parse,
    #[cfg(test)]
    draw: tests::draw,
};

/// Scales each row to a given length: `of[row] * (length[row] / ||of[row]||)`.
#[derive(Clone)]
pub struct NormalizeRows {
    /// The matrix `[out, in]`.
    pub of: TensorExpr,
    /// The lengths `[out]`.
    pub magnitude: TensorExpr,
}

fn parse(parser: &mut Parser<'_>) -> Parsed<TensorExpr> {
    let of = parser.expression()?;
    Ok(TensorExpr::new(NormalizeRows { of, magnitude: parser.then(Parser::expression)? }))
}

impl Operator for NormalizeRows {
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
        if lengths.len() as u64 != of.n_rows() {
            let message = format!("A matrix of {} rows has {} row lengths", of.n_rows(), lengths.len());
            return Err(EvaluationError::misfit(message));
        }
        Ok(Box::new(Normalized { of, lengths }))
    }
}

struct Normalized {
    of: Evaluator,
    lengths: Vec<f32>,
}

impl Rows for Normalized {
    fn rows(&self, first: u64, n_cols: usize, out: &mut [f32]) -> Result<(), EvaluationError> {
        self.of.rows(first, out)?;
        for (row, length) in out.chunks_exact_mut(n_cols).zip(&self.lengths[first as usize..]) {
            let factor = length / norm(row);
            row.iter_mut().for_each(|value| *value *= factor);
        }
        Ok(())
    }
}

const N_LANES: usize = 16;

/// The Euclidean length of a row: squares and their sum in f64, then the square root, rounded to f32.
fn norm(row: &[f32]) -> f32 {
    let mut lanes = [0.0_f64; N_LANES];
    let (whole, rest) = row.as_chunks::<N_LANES>();
    for values in whole {
        for (lane, value) in lanes.iter_mut().zip(values) {
            *lane += f64::from(*value) * f64::from(*value);
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane += f64::from(*value) * f64::from(*value);
    }
    let mut width = N_LANES;
    while width > 1 {
        width /= 2;
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
    }
    lanes[0].sqrt() as f32
}

#[cfg(test)]
mod tests {
    use mc_tensor::dtype::DType;

    use super::*;
    use crate::draw::Draw;
    use crate::memory::{all, misfit};
    use crate::operators::load::Load;

    pub(super) fn draw(draw: &mut Draw, shape: &[u64]) -> Option<TensorExpr> {
        let [n_rows, _] = shape else { return None };
        let magnitude = draw.expression(&[*n_rows]);
        Some(TensorExpr::new(NormalizeRows { of: draw.expression(shape), magnitude }))
    }

    fn load(input: usize, shape: &[u64]) -> TensorExpr {
        TensorExpr::new(Load { input, dtype: DType::F32, shape: shape.to_vec() })
    }

    #[test]
    fn each_row_gets_its_length() {
        let (of, magnitude) = (load(0, &[2, 2]), load(1, &[2]));
        let expression = TensorExpr::new(NormalizeRows { of: of.clone(), magnitude });
        assert_eq!(
            expression.map_inputs(&|input| input + 5).to_string(),
            "normalize_rows(load($5, F32, [2, 2]), load($6, F32, [2]))"
        );
        let values: [&[f32]; 2] = [&[3.0, 4.0, 0.0, -2.0], &[10.0, 1.0]];
        assert_eq!(all(&expression, &values), [6.0, 8.0, 0.0, -1.0]);
        let short = TensorExpr::new(NormalizeRows { of, magnitude: load(1, &[1]) });
        assert_eq!(misfit(&short, &[values[0], &[1.0]]), "A matrix of 2 rows has 1 row lengths");
    }
}
