//! Reordered rows within each head, for the two rotary orders.
//!
//! Hugging Face pairs element `i` of a head with element `i + head_dim / 2` (half-split); in the interleaved order, the
//! two elements of a pair are adjacent.

use crate::error::EvaluationError;
use crate::evaluator::Evaluator;
use crate::expression::TensorExpr;
use crate::inputs::Inputs;
use crate::rows::{Rows, rows_and_columns};

/// Maps a row of the result to a row of the operand, given its index and the rows per head.
pub(crate) type SourceRow = fn(u64, u64) -> u64;

/// Maps row `row` of the interleaved order to a row of the half-split order.
///
/// Interleaved row `2i + p` of a head is half-split row `p * head_dim / 2 + i`.
pub(crate) fn half_split_row(row: u64, head_dim: u64) -> u64 {
    let (head, within) = (row / head_dim, row % head_dim);
    head * head_dim + (within % 2) * (head_dim / 2) + within / 2
}

/// Maps row `row` of the half-split order to a row of the interleaved order; the inverse of [`half_split_row`].
pub(crate) fn interleaved_row(row: u64, head_dim: u64) -> u64 {
    let (head, within) = (row / head_dim, row % head_dim);
    let half = head_dim / 2;
    head * head_dim + 2 * (within % half) + within / half
}

/// The rows of `of`, reordered; for a vector, the elements.
///
/// # Errors
/// If the rows are not `n_heads` heads of whole pairs, or `of` cannot be evaluated.
pub(crate) fn reordered(
    of: &TensorExpr,
    n_heads: u64,
    source: SourceRow,
    inputs: &dyn Inputs,
) -> Result<Box<dyn Rows>, EvaluationError> {
    let shape = of.shape();
    let (n_reordered, is_vector) = match shape.as_slice() {
        [n] => (*n, true),
        shape => (rows_and_columns(shape).0, false),
    };
    let head_dim = n_reordered.checked_div(n_heads).unwrap_or(0);
    if head_dim * n_heads != n_reordered || !head_dim.is_multiple_of(2) {
        let message = format!("{n_reordered} rows are not {n_heads} heads with whole pairs of rows");
        return Err(EvaluationError::misfit(message));
    }
    let of = Evaluator::new(of, inputs)?;
    Ok(match is_vector {
        true => Box::new(ReorderedElements { head_dim, source, of }),
        false => Box::new(ReorderedRows { head_dim, source, of }),
    })
}

struct ReorderedRows {
    head_dim: u64,
    source: SourceRow,
    of: Evaluator,
}

struct ReorderedElements {
    head_dim: u64,
    source: SourceRow,
    of: Evaluator,
}

impl Rows for ReorderedRows {
    fn rows(&self, first: u64, n_cols: usize, out: &mut [f32]) -> Result<(), EvaluationError> {
        for (row, values) in (first..).zip(out.chunks_exact_mut(n_cols)) {
            self.of.rows((self.source)(row, self.head_dim), values)?;
        }
        Ok(())
    }
}

impl Rows for ReorderedElements {
    fn rows(&self, first: u64, _n_cols: usize, out: &mut [f32]) -> Result<(), EvaluationError> {
        let mut values = vec![0.0; out.len()];
        self.of.rows(first, &mut values)?;
        for (index, value) in (0..).zip(out.iter_mut()) {
            *value = values[(self.source)(index, self.head_dim) as usize];
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_permutation_undoes_half_splitting() {
        // One head of eight: 0 4 1 5 2 6 3 7; a second head keeps its own rows.
        let rows: Vec<u64> = (0..16).map(|row| half_split_row(row, 8)).collect();
        assert_eq!(rows[..8], [0, 4, 1, 5, 2, 6, 3, 7]);
        assert_eq!(rows[8..], [8, 12, 9, 13, 10, 14, 11, 15]);
        assert!((0..16).all(|row| half_split_row(interleaved_row(row, 8), 8) == row));
    }
}
