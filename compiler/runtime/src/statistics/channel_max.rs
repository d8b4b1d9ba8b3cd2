//! `channel-max`: the largest magnitude of each input column.

use crate::statistics::statistic::{Order, Statistic};

/// The statistic.
pub static CHANNEL_MAX: Statistic = Statistic {
    name: "channel-max",
    version: 1,
    doc: "The largest magnitude of each input column.",
    order: Order::SideBySide,
    n_running: |n_cols| n_cols,
    update: |maxima, rows, n_cols| {
        for row in rows.chunks_exact(n_cols) {
            for (max, x) in maxima.iter_mut().zip(row) {
                *max = max.max(f64::from(x.abs()));
            }
        }
    },
    join: |maxima, later| {
        for (max, later) in maxima.iter_mut().zip(later) {
            *max = max.max(*later);
        }
    },
    shape: |n_cols| vec![n_cols],
    finish: |maxima, _, _| maxima.iter().map(|max| *max as f32).collect(),
};
