//! `replace_rows(OF, [9, 0, 4], WITH)`: replaces some rows, for example those of trained tokens.

use std::collections::BTreeMap;
use std::fmt;

use crate::error::EvaluationError;
use crate::evaluator::Evaluator;
use crate::expression::{Operator, OperatorName, TensorExpr};
use crate::inputs::Inputs;
use crate::parser::{OperatorRow, Parsed, Parser};
use crate::rows::Rows;
use crate::text::Numbers;

const NAME: OperatorName = OperatorName::new("replace_rows");

pub(crate) const ROW: OperatorRow = OperatorRow {
    name: NAME,
    parse,
    #[cfg(test)]
    draw: tests::draw,
};

/// Replaces some rows.
#[derive(Clone)]
pub struct ReplaceRows {
    /// The matrix `[out, in]`.
    pub of: TensorExpr,
    /// Indices of the replaced rows, in the order of `with`.
    pub rows: Vec<u64>,
    /// The new rows `[rows, in]`.
    pub with: TensorExpr,
}

fn parse(parser: &mut Parser<'_>) -> Parsed<TensorExpr> {
    let of = parser.expression()?;
    let rows = parser.then(Parser::numbers)?;
    Ok(TensorExpr::new(ReplaceRows { of, rows, with: parser.then(Parser::expression)? }))
}

impl Operator for ReplaceRows {
    fn name(&self) -> OperatorName {
        NAME
    }

    fn print(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}, {}, {}", self.of, Numbers(&self.rows), self.with)
    }

    fn shape(&self) -> Vec<u64> {
        self.of.shape()
    }

    fn map_inputs(&self, renumber: &dyn Fn(usize) -> usize) -> TensorExpr {
        let (of, with) = (self.of.map_inputs(renumber), self.with.map_inputs(renumber));
        TensorExpr::new(Self { of, rows: self.rows.clone(), with })
    }

    fn evaluate(&self, inputs: &dyn Inputs) -> Result<Box<dyn Rows>, EvaluationError> {
        let of = Evaluator::new(&self.of, inputs)?;
        let with = Evaluator::new(&self.with, inputs)?;
        if with.n_cols() != of.n_cols() {
            let message = format!(
                "Rows of {} columns do not fit in a matrix of {} columns",
                with.n_cols(),
                of.n_cols()
            );
            return Err(EvaluationError::misfit(message));
        }
        let places = self.rows.iter().copied().zip(0..).collect();
        Ok(Box::new(Replaced { of, places, with }))
    }
}

struct Replaced {
    of: Evaluator,
    /// For each replaced row, its row in `with`.
    places: BTreeMap<u64, u64>,
    with: Evaluator,
}

impl Rows for Replaced {
    fn rows(&self, first: u64, n_cols: usize, out: &mut [f32]) -> Result<(), EvaluationError> {
        self.of.rows(first, out)?;
        let last = first + (out.len() / n_cols) as u64;
        for (row, place) in self.places.range(first..last) {
            let start = (row - first) as usize * n_cols;
            self.with.rows(*place, &mut out[start..start + n_cols])?;
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
        let [n_rows, n_cols] = shape else { return None };
        let of = draw.expression(shape);
        let rows: Vec<u64> = (0..=draw.below(3)).map(|_| draw.below(*n_rows)).collect();
        let rows = rows.into_iter().map(|row| draw.number(row)).collect::<Vec<_>>();
        let with = draw.expression(&[rows.len() as u64, *n_cols]);
        Some(TensorExpr::new(ReplaceRows { of, rows, with }))
    }

    fn load(input: usize, shape: &[u64]) -> TensorExpr {
        TensorExpr::new(Load { input, dtype: DType::F32, shape: shape.to_vec() })
    }

    #[test]
    fn rows_are_replaced() {
        let (of, with) = (load(0, &[4, 1]), load(1, &[2, 1]));
        let expression = TensorExpr::new(ReplaceRows { of: of.clone(), rows: vec![3, 1], with });
        assert_eq!(
            expression.map_inputs(&|input| input + 5).to_string(),
            "replace_rows(load($5, F32, [4, 1]), [3, 1], load($6, F32, [2, 1]))"
        );
        let values: [&[f32]; 2] = [&[1.0, 2.0, 3.0, 4.0], &[30.0, 10.0]];
        assert_eq!(all(&expression, &values), [1.0, 10.0, 3.0, 30.0]);
        let wide = TensorExpr::new(ReplaceRows { of, rows: vec![3], with: load(1, &[1, 2]) });
        assert_eq!(misfit(&wide, &values), "Rows of 2 columns do not fit in a matrix of 1 columns");
    }
}
