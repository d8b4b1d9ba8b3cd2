//! The evaluation of one operator: rows in f32, any range of them by itself.
//!
//! No sum crosses the range that was asked for, so memory is bounded by the tile and not by the tensor, tiles can be
//! computed side by side, and a result depends neither on tiles nor on threads.

use crate::error::EvaluationError;

/// An operator with its inputs at hand.
pub trait Rows: Send + Sync {
    /// Computes the rows from `first` on.
    ///
    /// * `n_cols`: columns of the result, at least one
    /// * `out`: some whole rows, all within the result
    ///
    /// # Errors
    /// When an input cannot be read, or a part does not fit.
    fn rows(&self, first: u64, n_cols: usize, out: &mut [f32]) -> Result<(), EvaluationError>;

    /// Appends the bytes of some rows as they are stored, where nothing is done to them.
    ///
    /// # Errors
    /// When something is done to them, or an input cannot be read.
    fn stored_rows(
        &self,
        _first: u64,
        _n_rows: u64,
        _n_cols: usize,
        _out: &mut Vec<u8>,
    ) -> Result<(), EvaluationError> {
        Err(EvaluationError::misfit("Only what is stored can be copied"))
    }

    /// Itself, if a part of a row costs no more than its elements. Transposing and slicing then read only those.
    fn as_stretches(&self) -> Option<&dyn RowParts> {
        None
    }
}

/// Rows of which parts can be computed by themselves.
pub trait RowParts {
    /// Computes the elements of one row from a column on.
    ///
    /// * `n_cols`: columns of the whole row
    ///
    /// # Errors
    /// As [`Rows::rows`].
    fn stretch(
        &self,
        row: u64,
        first_col: usize,
        n_cols: usize,
        out: &mut [f32],
    ) -> Result<(), EvaluationError>;
}

/// The shape as a matrix: a vector is one row, leading dimensions are folded into rows.
pub fn rows_and_columns(shape: &[u64]) -> (u64, u64) {
    match shape {
        [] => (1, 1),
        [leading @ .., n_cols] => (leading.iter().fold(1, |n_rows, n| n_rows.saturating_mul(*n)), *n_cols),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_is_one_row() {
        assert_eq!(rows_and_columns(&[7]), (1, 7));
        assert_eq!(rows_and_columns(&[2, 3, 4]), (6, 4));
        assert_eq!(rows_and_columns(&[]), (1, 1));
    }
}
