//! `gram`: the sums of products of all pairs of input columns, `Xᵀ X`.
//!
//! The running values are the upper triangle, row after row, because the lower one is the same. Rows of the triangle
//! are computed in parallel, each sum over ascending positions.

use rayon::iter::ParallelIterator;
use rayon::slice::ParallelSliceMut;

use crate::statistics::statistic::{Order, Statistic};

/// Number of rows of the triangle computed together, so that an input row is read once for all of them.
const STRIP: usize = 8;

/// The statistic.
pub static GRAM: Statistic = Statistic {
    name: "gram",
    version: 1,
    doc: "The sums of products of all pairs of input columns, `Xᵀ X`.",
    order: Order::OneByOne,
    n_running: |n_cols| n_cols * (n_cols + 1) / 2,
    update,
    join: |sums, later| {
        for (sum, later) in sums.iter_mut().zip(later) {
            *sum += later;
        }
    },
    shape: |n_cols| vec![n_cols, n_cols],
    finish,
};

fn update(sums: &mut [f64], rows: &[f32], n_cols: usize) {
    let mut triangle = Vec::with_capacity(n_cols);
    let mut rest = sums;
    for first in 0..n_cols {
        let (row, later) = rest.split_at_mut(n_cols - first);
        triangle.push((first, row));
        rest = later;
    }
    triangle.par_chunks_mut(STRIP).for_each(|strip| {
        for x in rows.chunks_exact(n_cols) {
            for (first, sums) in strip.iter_mut() {
                let factor = f64::from(x[*first]);
                for (sum, x) in sums.iter_mut().zip(&x[*first..]) {
                    *sum += factor * f64::from(*x);
                }
            }
        }
    });
}

fn finish(sums: &[f64], _n_rows: u64, n_cols: usize) -> Vec<f32> {
    let mut gram = vec![0.0; n_cols * n_cols];
    let mut sums = sums.iter();
    for row in 0..n_cols {
        for (col, sum) in (row..n_cols).zip(&mut sums) {
            gram[row * n_cols + col] = *sum as f32;
            gram[col * n_cols + row] = *sum as f32;
        }
    }
    gram
}
