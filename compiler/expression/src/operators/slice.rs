//! `slice(0, [2, 5], OF)`: a range of a tensor along one dimension, counted from 0 for the slowest.
//!
//! Along the last dimension these are columns, along any other rows, for example the experts of a stack. To take both,
//! nest two slices. Of a load, only the elements of the range are read.

use std::fmt;
use std::ops::Range;

use mc_tensor::dtype::DType;

use crate::error::EvaluationError;
use crate::evaluator::{Evaluator, TILE_ELEMENTS};
use crate::expression::{Operator, OperatorName, TensorExpr};
use crate::inputs::Inputs;
use crate::parser::{OperatorRow, Parsed, Parser};
use crate::rows::{RowParts, Rows, rows_and_columns};
use crate::text::Numbers;

const NAME: OperatorName = OperatorName::new("slice");

pub(crate) const ROW: OperatorRow = OperatorRow {
    name: NAME,
    parse,
    #[cfg(test)]
    draw: tests::draw,
};

/// A range of a tensor along one dimension.
#[derive(Clone)]
pub struct Slice {
    /// Index of the dimension, from 0 for the slowest.
    pub dimension: usize,
    /// The range along it.
    pub range: Range<u64>,
    /// The operand.
    pub of: TensorExpr,
}

fn parse(parser: &mut Parser<'_>) -> Parsed<TensorExpr> {
    let dimension = parser.small_number()? as usize;
    parser.eat(", [", "`, [`")?;
    let start = parser.number()?;
    let end = parser.then(Parser::number)?;
    parser.eat("]", "`]`")?;
    Ok(TensorExpr::new(Slice { dimension, range: start..end, of: parser.then(Parser::expression)? }))
}

impl Operator for Slice {
    fn name(&self) -> OperatorName {
        NAME
    }

    fn print(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dimension, range, of } = self;
        write!(formatter, "{dimension}, {}, {of}", Numbers(&[range.start, range.end]))
    }

    fn shape(&self) -> Vec<u64> {
        let mut shape = self.of.shape();
        if let Some(n) = shape.get_mut(self.dimension) {
            *n = self.range.end.saturating_sub(self.range.start);
        }
        shape
    }

    fn map_inputs(&self, renumber: &dyn Fn(usize) -> usize) -> TensorExpr {
        TensorExpr::new(Self { of: self.of.map_inputs(renumber), range: self.range.clone(), ..*self })
    }

    fn element_type(&self) -> DType {
        self.of.element_type()
    }

    fn evaluate(&self, inputs: &dyn Inputs) -> Result<Box<dyn Rows>, EvaluationError> {
        let Self { dimension, range, .. } = self;
        let shape = self.of.shape();
        let of_dimension = shape.get(*dimension).filter(|n| range.start <= range.end && range.end <= **n);
        let Some(n) = of_dimension else {
            let message = format!(
                "A tensor of shape {} does not have the range {} along dimension {dimension}",
                Numbers(&shape),
                Numbers(&[range.start, range.end])
            );
            return Err(EvaluationError::misfit(message));
        };
        let of = Evaluator::new(&self.of, inputs)?;
        if dimension + 1 == shape.len() {
            let first = usize::try_from(range.start).map_err(EvaluationError::misfit)?;
            return Ok(Box::new(Columns { of, first }));
        }
        // Number of rows per index of the dimension. It can only overflow for tensors without elements.
        let (n_inner, _) = rows_and_columns(&shape[dimension + 1..]);
        Ok(Box::new(Chosen {
            of,
            n_turn: n.saturating_mul(n_inner),
            first: range.start.saturating_mul(n_inner),
            n_rows: (range.end - range.start).saturating_mul(n_inner),
        }))
    }
}

/// A range of rows in each turn of the operand's rows.
struct Chosen {
    of: Evaluator,
    /// Number of rows per turn.
    n_turn: u64,
    /// The first chosen row of a turn.
    first: u64,
    /// Number of chosen rows per turn.
    n_rows: u64,
}

impl Chosen {
    fn source_row(&self, row: u64) -> u64 {
        row / self.n_rows * self.n_turn + self.first + row % self.n_rows
    }
}

impl Rows for Chosen {
    fn rows(&self, first: u64, n_cols: usize, out: &mut [f32]) -> Result<(), EvaluationError> {
        let mut row = first;
        let mut rest = out;
        while !rest.is_empty() {
            let n_run = (self.n_rows - row % self.n_rows).min((rest.len() / n_cols) as u64);
            let (run, behind) = rest.split_at_mut(n_run as usize * n_cols);
            self.of.rows(self.source_row(row), run)?;
            row += n_run;
            rest = behind;
        }
        Ok(())
    }

    fn as_stretches(&self) -> Option<&dyn RowParts> {
        self.of.has_stretches().then_some(self)
    }
}

impl RowParts for Chosen {
    fn stretch(
        &self,
        row: u64,
        first_col: usize,
        _n_cols: usize,
        out: &mut [f32],
    ) -> Result<(), EvaluationError> {
        self.of.stretch(self.source_row(row), first_col, out)
    }
}

/// A range of columns of the operand.
struct Columns {
    of: Evaluator,
    first: usize,
}

impl Rows for Columns {
    fn rows(&self, first: u64, n_cols: usize, out: &mut [f32]) -> Result<(), EvaluationError> {
        if self.of.has_stretches() {
            for (row, values) in (first..).zip(out.chunks_exact_mut(n_cols)) {
                self.of.stretch(row, self.first, values)?;
            }
            return Ok(());
        }
        // The operand may be much wider, so the requested tile may have too many rows for whole rows of it.
        let n_rows = (TILE_ELEMENTS / self.of.n_cols()).max(1);
        let mut row = first;
        for tile in out.chunks_mut(n_rows * n_cols) {
            let mut whole = vec![0.0; tile.len() / n_cols * self.of.n_cols()];
            self.of.rows(row, &mut whole)?;
            for (values, whole) in tile.chunks_exact_mut(n_cols).zip(whole.chunks_exact(self.of.n_cols())) {
                values.copy_from_slice(&whole[self.first..self.first + n_cols]);
            }
            row += n_rows as u64;
        }
        Ok(())
    }

    fn as_stretches(&self) -> Option<&dyn RowParts> {
        self.of.has_stretches().then_some(self)
    }
}

impl RowParts for Columns {
    fn stretch(
        &self,
        row: u64,
        first_col: usize,
        _n_cols: usize,
        out: &mut [f32],
    ) -> Result<(), EvaluationError> {
        self.of.stretch(row, self.first + first_col, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;
    use crate::memory::{all, misfit};
    use crate::operators::load::Load;
    use crate::operators::scale::Scale;
    use crate::operators::transpose::Transpose;

    pub(super) fn draw(draw: &mut Draw, shape: &[u64]) -> Option<TensorExpr> {
        let dimension = draw.below(shape.len() as u64) as usize;
        let n = *shape.get(dimension)?;
        let (before, behind) = (draw.below(3), draw.below(3));
        let mut whole = shape.to_vec();
        whole[dimension] = before + n + behind;
        let range = draw.number(before)..draw.number(before + n);
        let dimension = if draw.is_wild() { draw.below(4) as usize } else { dimension };
        Some(TensorExpr::new(Slice { dimension, range, of: draw.expression(&whole) }))
    }

    fn load(shape: &[u64]) -> TensorExpr {
        TensorExpr::new(Load { input: 0, dtype: DType::F32, shape: shape.to_vec() })
    }

    fn slice(dimension: usize, range: Range<u64>, of: TensorExpr) -> TensorExpr {
        TensorExpr::new(Slice { dimension, range, of })
    }

    const VALUES: [f32; 12] = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0];

    #[test]
    fn rows_and_columns_are_taken_from_a_matrix() {
        let rows = slice(0, 1..3, load(&[4, 3]));
        assert_eq!(rows.to_string(), "slice(0, [1, 3], load($0, F32, [4, 3]))");
        assert_eq!(rows.shape(), [2, 3]);
        assert_eq!(all(&rows, &[&VALUES]), VALUES[3..9]);
        assert_eq!(all(&slice(1, 1..3, rows), &[&VALUES]), [4.0, 5.0, 7.0, 8.0]);
        let twice = TensorExpr::new(Scale { of: load(&[4, 3]), factor: 2.0 });
        assert_eq!(all(&slice(1, 2..3, twice), &[&VALUES]), [4.0, 10.0, 16.0, 22.0]);
        let turned = TensorExpr::new(Transpose { of: slice(1, 1..3, load(&[4, 3])) });
        assert_eq!(all(&turned, &[&VALUES]), [1.0, 4.0, 7.0, 10.0, 2.0, 5.0, 8.0, 11.0]);
        assert_eq!(all(&slice(0, 3..5, load(&[12])), &[&VALUES]), [3.0, 4.0]);
        assert_eq!(slice(0, 0..1, load(&[4, 3])).element_type(), DType::F32);
    }

    #[test]
    fn any_dimension_of_a_stack_can_be_sliced() {
        let stack = || load(&[2, 3, 2]);
        assert_eq!(all(&slice(0, 1..2, stack()), &[&VALUES]), VALUES[6..]);
        assert_eq!(all(&slice(1, 1..2, stack()), &[&VALUES]), [2.0, 3.0, 8.0, 9.0]);
        assert_eq!(all(&slice(2, 1..2, stack()), &[&VALUES]), [1.0, 3.0, 5.0, 7.0, 9.0, 11.0]);
    }

    #[test]
    fn a_range_lies_in_its_dimension() {
        assert_eq!(
            misfit(&slice(1, 2..4, load(&[4, 3])), &[&VALUES]),
            "A tensor of shape [4, 3] does not have the range [2, 4] along dimension 1"
        );
        for (dimension, start, end) in [(2, 0, 1), (0, 3, 2), (0, u64::MAX, 0)] {
            let message = misfit(&slice(dimension, start..end, load(&[4, 3])), &[&VALUES]);
            assert!(message.starts_with("A tensor of shape [4, 3] does not have the range"), "{message}");
        }
        assert_eq!(all(&slice(0, 2..2, load(&[4, 3])), &[&VALUES]), [0.0; 0]);
    }
}
