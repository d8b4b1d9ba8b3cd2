//! `diagonal`: the mean squared input of each column, which is the diagonal of `Xᵀ X / n`: an importance matrix.
//!
//! The sums, and so the bits, are those of [`crate::imatrix`].

use crate::statistics::statistic::{Order, Statistic};

/// The statistic.
pub static DIAGONAL: Statistic = Statistic {
    name: "diagonal",
    version: 1,
    doc: "The mean squared input of each column.",
    order: Order::SideBySide,
    n_running: |n_cols| n_cols,
    update,
    join: |sums, later| {
        for (sum, later) in sums.iter_mut().zip(later) {
            *sum += later;
        }
    },
    shape: |n_cols| vec![n_cols],
    // Rounds like an importance matrix: the sum to f32, then the quotient; 1 if nothing was measured.
    finish: |sums, n_rows, _| {
        let mean = |sum: &f64| if n_rows == 0 { 1.0 } else { *sum as f32 / n_rows as f32 };
        sums.iter().map(mean).collect()
    },
};

fn update(sums: &mut [f64], rows: &[f32], n_cols: usize) {
    for row in rows.chunks_exact(n_cols) {
        for (sum, x) in sums.iter_mut().zip(row) {
            *sum += f64::from(*x) * f64::from(*x);
        }
    }
}
