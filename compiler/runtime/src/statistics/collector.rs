//! Collects a statistic of every matrix as an observer of forward passes.

use std::collections::BTreeMap;

use mc_tensor::model_tensor::ModelTensor;

use crate::observer::ActivationObserver;
use crate::statistics::statistic::Statistic;

/// The statistic of one matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Number of columns of the matrix.
    pub n_cols: usize,
    /// Number of rows that entered it.
    pub n_rows: u64,
    /// The numbers, in the shape that the statistic says.
    pub values: Vec<f32>,
}

/// Running numbers of every matrix but the head and the embedding, as an importance matrix leaves them out.
pub(crate) struct Collector {
    statistic: &'static Statistic,
    /// Running numbers under the first of the matrices that share their inputs.
    running: BTreeMap<ModelTensor, Running>,
}

struct Running {
    tensors: Vec<ModelTensor>,
    n_cols: usize,
    n_rows: u64,
    numbers: Vec<f64>,
}

impl Collector {
    pub(crate) fn new(statistic: &'static Statistic) -> Self {
        Self { statistic, running: BTreeMap::new() }
    }

    /// Joins what another collector saw after this one.
    pub(crate) fn join(&mut self, later: Self) {
        for (first, later) in later.running {
            match self.running.get_mut(&first) {
                Some(running) => {
                    running.n_rows += later.n_rows;
                    (self.statistic.join)(&mut running.numbers, &later.numbers);
                }
                None => {
                    self.running.insert(first, later);
                }
            }
        }
    }

    /// The results, matrix by matrix; those that share their inputs have the same.
    pub(crate) fn finish(self) -> BTreeMap<ModelTensor, Measured> {
        let finish = self.statistic.finish;
        let measured = self.running.into_values().flat_map(|running| {
            let Running { tensors, n_cols, n_rows, numbers } = running;
            let values = finish(&numbers, n_rows, n_cols);
            let measured = Measured { n_cols, n_rows, values };
            tensors.into_iter().map(move |tensor| (tensor, measured.clone()))
        });
        measured.collect()
    }
}

impl ActivationObserver for Collector {
    fn observe(&mut self, tensors: &[ModelTensor], inputs: &[f32], n_columns: usize) {
        let [first, ..] = tensors else { return };
        if n_columns == 0 || matches!(first, ModelTensor::Output | ModelTensor::TokenEmbedding) {
            return;
        }
        let statistic = self.statistic;
        let running = self.running.entry(*first).or_insert_with(|| Running {
            tensors: tensors.to_vec(),
            n_cols: n_columns,
            n_rows: 0,
            numbers: vec![0.0; (statistic.n_running)(n_columns)],
        });
        running.n_rows += (inputs.len() / n_columns) as u64;
        (statistic.update)(&mut running.numbers, inputs, n_columns);
    }
}
