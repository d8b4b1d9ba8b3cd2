//! An observer of forward passes that collects a statistic of every matrix.

use std::collections::BTreeMap;

use mc_tensor::model_tensor::ModelTensor;

use crate::observer::{ActivationObserver, ProductInputs};
use crate::statistics::statistic::Statistic;

/// The statistic of one matrix, or of each matrix in a stack of experts.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Number of columns of the matrix.
    pub n_cols: usize,
    /// Number of input rows; in a stack of experts, one number per expert.
    pub n_rows: Vec<u64>,
    /// The result in the statistic's shape, expert after expert.
    pub values: Vec<f32>,
}

/// Running values of every matrix except the head and the embedding, which importance matrices omit too.
pub(crate) struct Collector {
    statistic: &'static Statistic,
    /// Running values, stored under the first of the matrices that share inputs.
    running: BTreeMap<ModelTensor, Running>,
}

struct Running {
    tensors: Vec<ModelTensor>,
    n_cols: usize,
    /// One per matrix of a stack.
    parts: Vec<Part>,
}

/// Running values of one matrix.
#[derive(Clone)]
struct Part {
    n_rows: u64,
    numbers: Vec<f64>,
}

impl Collector {
    pub(crate) fn new(statistic: &'static Statistic) -> Self {
        Self { statistic, running: BTreeMap::new() }
    }

    /// Joins the values of a collector that ran after this one.
    pub(crate) fn join(&mut self, later: Self) {
        for (first, later) in later.running {
            match self.running.get_mut(&first) {
                Some(running) => {
                    for (part, later) in running.parts.iter_mut().zip(&later.parts) {
                        part.n_rows += later.n_rows;
                        (self.statistic.join)(&mut part.numbers, &later.numbers);
                    }
                }
                None => {
                    self.running.insert(first, later);
                }
            }
        }
    }

    /// The results by matrix; matrices with the same inputs have the same results.
    pub(crate) fn finish(self) -> BTreeMap<ModelTensor, Measured> {
        let finish = self.statistic.finish;
        let measured = self.running.into_values().flat_map(|running| {
            let Running { tensors, n_cols, parts } = running;
            let values = parts.iter().flat_map(|part| finish(&part.numbers, part.n_rows, n_cols)).collect();
            let n_rows = parts.iter().map(|part| part.n_rows).collect();
            let measured = Measured { n_cols, n_rows, values };
            tensors.into_iter().map(move |tensor| (tensor, measured.clone()))
        });
        measured.collect()
    }
}

impl ActivationObserver for Collector {
    fn observe(&mut self, inputs: &ProductInputs<'_>) {
        let [first, ..] = inputs.tensors else { return };
        let n_cols = inputs.n_columns;
        if n_cols == 0 || matches!(first, ModelTensor::Output | ModelTensor::TokenEmbedding) {
            return;
        }
        let statistic = self.statistic;
        let part = || Part { n_rows: 0, numbers: vec![0.0; (statistic.n_running)(n_cols)] };
        let n_parts = inputs.chosen.map_or(1, |chosen| chosen.n_experts);
        let running = self.running.entry(*first).or_insert_with(|| Running {
            tensors: inputs.tensors.to_vec(),
            n_cols,
            parts: vec![part(); n_parts],
        });
        for (number, rows) in inputs.by_matrix() {
            let part = &mut running.parts[number];
            part.n_rows += (rows.len() / n_cols) as u64;
            (statistic.update)(&mut part.numbers, &rows, n_cols);
        }
    }
}
