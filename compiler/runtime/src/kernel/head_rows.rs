//! The rows of a state in the layout of the kernels: head by head, each row padded with zeros to whole lanes.

use std::any::Any;
use std::ops::Range;

use candle_core::Result;

use crate::backend::StateRows;
use crate::lanes;

/// The rows of a state.
#[derive(Clone, Debug)]
pub struct HeadRows {
    row_len: usize,
    heads: Vec<Head>,
}

impl HeadRows {
    /// Creates storage without rows, for `n_heads` heads of `row_len` numbers.
    pub(crate) fn new(n_heads: usize, row_len: usize) -> Self {
        let head = Head { padded_dim: lanes::padded(row_len), rows: Vec::new() };
        Self { row_len, heads: vec![head; n_heads] }
    }

    /// Appends rows of `[n_heads * row_len]`.
    pub(crate) fn extend(&mut self, rows: &[f32]) {
        for row in rows.chunks_exact(self.heads.len() * self.row_len) {
            for (head, part) in self.heads.iter_mut().zip(row.chunks_exact(self.row_len)) {
                head.rows.extend_from_slice(part);
                head.rows.resize(head.rows.len() + head.padded_dim - part.len(), 0.0);
            }
        }
    }

    /// Number of stored rows.
    pub(crate) fn n_rows(&self) -> usize {
        self.heads.first().map_or(0, |head| head.rows.len() / head.padded_dim)
    }

    /// Number of elements of one head in a row.
    pub(crate) fn row_len(&self) -> usize {
        self.row_len
    }

    /// The heads.
    pub(crate) fn heads(&self) -> &[Head] {
        &self.heads
    }
}

impl StateRows for HeadRows {
    fn truncate(&mut self, n: usize) -> Result<()> {
        for head in &mut self.heads {
            head.rows.truncate(n * head.padded_dim);
        }
        Ok(())
    }

    fn copy(&self) -> Box<dyn StateRows> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

/// The rows of one head.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    padded_dim: usize,
    rows: Vec<f32>,
}

impl Head {
    /// Length of a row with its padding.
    pub(crate) fn padded_dim(&self) -> usize {
        self.padded_dim
    }

    /// A range of rows, `[n, padded_dim]`.
    pub(crate) fn rows(&self, rows: Range<usize>) -> &[f32] {
        &self.rows[rows.start * self.padded_dim..rows.end * self.padded_dim]
    }
}
