//! `transpose(OF)`: exchanges the rows and columns of a matrix; a vector is unchanged.
//!
//! If parts of the operand's rows can be read separately, as for a load, a row of the result is gathered from all of
//! them without a copy. Any other operand is computed completely first and held in f32.

use std::fmt;

use mc_tensor::dtype::DType;

use crate::error::EvaluationError;
use crate::evaluator::Evaluator;
use crate::expression::{Operator, OperatorName, TensorExpr};
use crate::inputs::Inputs;
use crate::parser::{OperatorRow, Parsed, Parser};
use crate::rows::Rows;
use crate::text::Numbers;

const NAME: OperatorName = OperatorName::new("transpose");

pub(crate) const ROW: OperatorRow = OperatorRow {
    name: NAME,
    parse,
    #[cfg(test)]
    draw: tests::draw,
};

/// Exchanges the rows and columns of a matrix.
#[derive(Clone)]
pub struct Transpose {
    /// The matrix.
    pub of: TensorExpr,
}

fn parse(parser: &mut Parser<'_>) -> Parsed<TensorExpr> {
    Ok(TensorExpr::new(Transpose { of: parser.expression()? }))
}

impl Operator for Transpose {
    fn name(&self) -> OperatorName {
        NAME
    }

    fn print(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.of)
    }

    fn shape(&self) -> Vec<u64> {
        self.of.shape().into_iter().rev().collect()
    }

    fn map_inputs(&self, renumber: &dyn Fn(usize) -> usize) -> TensorExpr {
        TensorExpr::new(Self { of: self.of.map_inputs(renumber) })
    }

    fn element_type(&self) -> DType {
        self.of.element_type()
    }

    fn evaluate(&self, inputs: &dyn Inputs) -> Result<Box<dyn Rows>, EvaluationError> {
        let shape = self.of.shape();
        if shape.len() < 2 {
            return self.of.evaluate(inputs);
        }
        if shape.len() > 2 {
            let message = format!("Only a matrix can be transposed; found shape {}", Numbers(&shape));
            return Err(EvaluationError::misfit(message));
        }
        let of = Evaluator::new(&self.of, inputs)?;
        if of.has_stretches() {
            return Ok(Box::new(Gathered { of }));
        }
        Ok(Box::new(TransposedRows { values: of.all(inputs)?, n_cols: of.n_cols() }))
    }
}

/// The transpose of an operand whose rows can be read in parts.
struct Gathered {
    of: Evaluator,
}

impl Rows for Gathered {
    fn rows(&self, first: u64, n_cols: usize, out: &mut [f32]) -> Result<(), EvaluationError> {
        let first = usize::try_from(first).map_err(EvaluationError::misfit)?;
        let mut column = vec![0.0; out.len() / n_cols];
        for col in 0..n_cols {
            self.of.stretch(col as u64, first, &mut column)?;
            for (row, value) in out.chunks_exact_mut(n_cols).zip(&column) {
                row[col] = *value;
            }
        }
        Ok(())
    }
}

/// The transpose of elements in memory.
struct TransposedRows {
    /// The operand.
    values: Vec<f32>,
    /// Number of its columns, which are the rows of the result.
    n_cols: usize,
}

impl Rows for TransposedRows {
    fn rows(&self, first: u64, n_cols: usize, out: &mut [f32]) -> Result<(), EvaluationError> {
        let n_rows = out.len() / n_cols;
        for (col, of_operand) in self.values.chunks_exact(self.n_cols).enumerate() {
            let column = &of_operand[first as usize..][..n_rows];
            for (row, value) in out.chunks_exact_mut(n_cols).zip(column) {
                row[col] = *value;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;
    use crate::memory::{all, misfit};
    use crate::operators::load::Load;
    use crate::operators::scale::Scale;

    pub(super) fn draw(draw: &mut Draw, shape: &[u64]) -> Option<TensorExpr> {
        let turned: Vec<u64> = shape.iter().rev().copied().collect();
        let is_fitting = shape.len() < 3 || draw.is_wild();
        is_fitting.then(|| TensorExpr::new(Transpose { of: draw.expression(&turned) }))
    }

    fn load(shape: &[u64]) -> TensorExpr {
        TensorExpr::new(Load { input: 0, dtype: DType::F32, shape: shape.to_vec() })
    }

    #[test]
    fn stored_and_computed_matrices_are_transposed() {
        let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let of_load = TensorExpr::new(Transpose { of: load(&[2, 3]) });
        assert_eq!(of_load.to_string(), "transpose(load($0, F32, [2, 3]))");
        assert_eq!(of_load.shape(), [3, 2]);
        assert_eq!(all(&of_load, &[&values]), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        let scaled = TensorExpr::new(Scale { of: load(&[2, 3]), factor: 2.0 });
        let of_scaled = TensorExpr::new(Transpose { of: scaled });
        assert_eq!(all(&of_scaled, &[&values]), [2.0, 8.0, 4.0, 10.0, 6.0, 12.0]);
    }

    #[test]
    fn a_vector_stays_and_a_stack_is_refused() {
        let vector = TensorExpr::new(Transpose { of: load(&[3]) });
        assert_eq!(all(&vector, &[&[1.0, 2.0, 3.0]]), [1.0, 2.0, 3.0]);
        assert_eq!(
            misfit(&TensorExpr::new(Transpose { of: load(&[1, 2, 1]) }), &[&[1.0, 2.0]]),
            "Only a matrix can be transposed; found shape [1, 2, 1]"
        );
    }
}
