//! Evaluates an expression a few rows at a time, in f32, in a fixed order.
//!
//! The caller chooses the tiles. Values that an operator needs from a whole operand, such as the norm of each column,
//! are computed once, when the evaluator is created.

use rayon::prelude::*;

use crate::error::EvaluationError;
use crate::expression::TensorExpr;
use crate::inputs::Inputs;
use crate::rows::{Rows, rows_and_columns};
use crate::text::Numbers;

/// Number of elements that a pass over a whole tensor holds at a time: 1 MiB of f32.
pub(crate) const TILE_ELEMENTS: usize = 1 << 18;

/// An expression with opened inputs.
pub struct Evaluator {
    rows: Box<dyn Rows>,
    n_rows: u64,
    n_cols: usize,
}

/// Adjacent rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tile {
    pub(crate) first: u64,
    pub(crate) n_rows: usize,
}

impl Evaluator {
    /// Opens the inputs and precomputes the values that every row needs.
    ///
    /// A `quantize` is not evaluated: the caller encodes the rows of its operand.
    ///
    /// # Errors
    /// If an input cannot be read or its length does not match its shape, or operands do not match.
    pub fn new(expression: &TensorExpr, inputs: &dyn Inputs) -> Result<Self, EvaluationError> {
        let shape = expression.shape();
        let (n_rows, n_cols) = rows_and_columns(&shape);
        // Without columns there is nothing to compute, whatever the number of rows.
        let n_rows = if n_cols == 0 { 0 } else { n_rows };
        let n_cols = usize::try_from(n_cols).map_err(EvaluationError::misfit)?;
        if n_rows.checked_mul(n_cols as u64).is_none_or(|n_elements| usize::try_from(n_elements).is_err()) {
            let message = format!("A tensor of shape {} has too many elements", Numbers(&shape));
            return Err(EvaluationError::misfit(message));
        }
        Ok(Self { rows: expression.evaluate(inputs)?, n_rows, n_cols })
    }

    /// Number of rows of the result; a vector has one row.
    pub fn n_rows(&self) -> u64 {
        self.n_rows
    }

    /// Number of columns of the result.
    pub fn n_cols(&self) -> usize {
        self.n_cols
    }

    /// Computes the rows `first..first + out.len() / n_cols` into `out`.
    ///
    /// # Errors
    /// If `out` is not a whole number of rows of the result, or an operand cannot be computed.
    pub fn rows(&self, first: u64, out: &mut [f32]) -> Result<(), EvaluationError> {
        if out.is_empty() {
            return Ok(());
        }
        if self.n_cols == 0 || !out.len().is_multiple_of(self.n_cols) {
            let message = format!("{} elements are not rows of {} columns", out.len(), self.n_cols);
            return Err(EvaluationError::misfit(message));
        }
        self.check_rows(first, (out.len() / self.n_cols) as u64)?;
        self.rows.rows(first, self.n_cols, out)
    }

    /// The bytes of the rows `first..first + n_rows`, as stored.
    ///
    /// # Errors
    /// If an operation is applied to them, or the result does not have those rows.
    pub fn stored_rows(&self, first: u64, n_rows: u64) -> Result<Vec<u8>, EvaluationError> {
        let mut bytes = Vec::new();
        self.append_stored_rows(first, n_rows, &mut bytes)?;
        Ok(bytes)
    }

    /// Appends the bytes of rows, as stored.
    pub(crate) fn append_stored_rows(
        &self,
        first: u64,
        n_rows: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), EvaluationError> {
        if n_rows == 0 {
            return Ok(());
        }
        self.check_rows(first, n_rows)?;
        self.rows.stored_rows(first, n_rows, self.n_cols, out)
    }

    fn check_rows(&self, first: u64, n_rows: u64) -> Result<(), EvaluationError> {
        let end = first.saturating_add(n_rows);
        if end <= self.n_rows {
            return Ok(());
        }
        let message = format!("Rows {first}..{end} are outside a tensor of {} rows", self.n_rows);
        Err(EvaluationError::misfit(message))
    }

    /// Returns true if computing a part of a row costs no more than its elements.
    pub(crate) fn has_stretches(&self) -> bool {
        self.rows.as_stretches().is_some()
    }

    /// Computes the elements of one row from a column on, or the whole row if parts cannot be computed.
    pub(crate) fn stretch(&self, row: u64, first_col: usize, out: &mut [f32]) -> Result<(), EvaluationError> {
        self.check_rows(row, 1)?;
        let end = first_col.saturating_add(out.len());
        if end > self.n_cols {
            let message =
                format!("Columns {first_col}..{end} are outside a tensor of {} columns", self.n_cols);
            return Err(EvaluationError::misfit(message));
        }
        if out.is_empty() {
            return Ok(());
        }
        if let Some(stretches) = self.rows.as_stretches() {
            return stretches.stretch(row, first_col, self.n_cols, out);
        }
        let mut whole = vec![0.0; self.n_cols];
        self.rows(row, &mut whole)?;
        out.copy_from_slice(&whole[first_col..end]);
        Ok(())
    }

    /// Splits the rows into tiles of about this many elements, with at least one row each.
    pub(crate) fn tiles(&self, n_elements: usize) -> Vec<Tile> {
        let n_rows = (n_elements / self.n_cols.max(1)).max(1);
        let tile = |first: u64| Tile { first, n_rows: (self.n_rows - first).min(n_rows as u64) as usize };
        (0..self.n_rows).step_by(n_rows).map(tile).collect()
    }

    /// Number of elements.
    pub(crate) fn n_elements(&self) -> usize {
        // `new` has checked that the number of elements does not overflow.
        self.n_rows as usize * self.n_cols
    }

    /// All rows, with tiles computed in parallel; for operands that every row of the result needs.
    ///
    /// # Errors
    /// As [`Self::rows`], or if the evaluation is cancelled.
    pub(crate) fn all(&self, inputs: &dyn Inputs) -> Result<Vec<f32>, EvaluationError> {
        let mut values = vec![0.0; self.n_elements()];
        let n_rows = (TILE_ELEMENTS / self.n_cols.max(1)).max(1);
        let tile = |(number, tile): (usize, &mut [f32])| {
            inputs.go_on()?;
            self.rows((number * n_rows) as u64, tile)
        };
        values.par_chunks_mut((n_rows * self.n_cols).max(1)).enumerate().try_for_each(tile)?;
        Ok(values)
    }
}
