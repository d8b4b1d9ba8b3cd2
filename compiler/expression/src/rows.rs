//! The evaluation of one operator: rows in f32, in independent ranges.
//!
//! No sum extends beyond the requested range. So memory is bounded by the tile and not by the tensor, tiles can be
//! computed in parallel, and a result depends neither on tiles nor on threads.

use crate::error::EvaluationError;

/// An operator with opened inputs.
pub trait Rows: Send + Sync {
    /// Computes the rows from `first` on.
    ///
    /// * `n_cols`: number of columns of the result, at least one
    /// * `out`: whole rows, all within the result
    ///
    /// # Errors
    /// If an input cannot be read, or an operand does not match.
    fn rows(&self, first: u64, n_cols: usize, out: &mut [f32]) -> Result<(), EvaluationError>;

    /// Appends the bytes of rows as stored, if no operation is applied to them.
    ///
    /// # Errors
    /// If an operation is applied to them, or an input cannot be read.
    fn stored_rows(
        &self,
        _first: u64,
        _n_rows: u64,
        _n_cols: usize,
        _out: &mut Vec<u8>,
    ) -> Result<(), EvaluationError> {
        Err(EvaluationError::misfit("Only stored bytes can be copied"))
    }

    /// Returns itself if computing a part of a row costs no more than its elements. Transposing and slicing then read
    /// only those elements.
    fn as_stretches(&self) -> Option<&dyn RowParts> {
        None
    }
}

/// Rows whose parts can be computed separately.
pub trait RowParts {
    /// Computes the elements of one row from a column on.
    ///
    /// * `n_cols`: number of columns of the whole row
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

/// The shape as a matrix: a vector is one row, leading dimensions are merged into rows.
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
