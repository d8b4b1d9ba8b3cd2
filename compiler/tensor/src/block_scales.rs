//! Scales shared by blocks of a matrix, as in checkpoints of 8-bit floats.

/// Scales of a matrix, one for each block of rows and columns.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockScales {
    values: Vec<f32>,
    block_rows: u64,
    block_cols: usize,
    blocks_per_row: usize,
}

impl BlockScales {
    /// Creates scales for a matrix of `n_cols` columns.
    ///
    /// * `values`: `[ceil(rows / block_rows), ceil(n_cols / block_cols)]`, row-major
    pub fn new(values: Vec<f32>, block: [u64; 2], n_cols: usize) -> Self {
        let block_cols = usize::try_from(block[1]).unwrap_or(usize::MAX).max(1);
        Self { values, block_rows: block[0].max(1), block_cols, blocks_per_row: n_cols.div_ceil(block_cols) }
    }

    /// Multiplies rows of the matrix by their scales, in f32.
    ///
    /// # Panics
    /// If there are fewer scales than the rows need; the caller of [`Self::new`] compares shapes.
    pub fn apply(&self, first_row: u64, n_cols: usize, rows: &mut [f32]) {
        for (row_idx, row) in (first_row..).zip(rows.chunks_exact_mut(n_cols)) {
            let first = (row_idx / self.block_rows) as usize * self.blocks_per_row;
            let scales = &self.values[first..first + self.blocks_per_row];
            for (block, scale) in row.chunks_mut(self.block_cols).zip(scales) {
                for value in block {
                    *value *= scale;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_at_the_edges_are_smaller() {
        let scales = BlockScales::new(vec![1.0, 2.0, 3.0, 4.0], [2, 2], 3);
        let mut rows = [1.0; 9];
        scales.apply(0, 3, &mut rows);
        assert_eq!(rows, [1.0, 1.0, 2.0, 1.0, 1.0, 2.0, 3.0, 3.0, 4.0]);
        let mut last = [1.0; 3];
        scales.apply(2, 3, &mut last);
        assert_eq!(last, rows[6..]);
    }

    #[test]
    fn a_row_or_the_whole_matrix_may_be_a_block() {
        let mut rows = [1.0; 4];
        BlockScales::new(vec![2.0, 3.0], [1, 2], 2).apply(0, 2, &mut rows);
        assert_eq!(rows, [2.0, 2.0, 3.0, 3.0]);
        BlockScales::new(vec![2.0], [2, 2], 2).apply(0, 2, &mut rows);
        assert_eq!(rows, [4.0, 4.0, 6.0, 6.0]);
    }
}
