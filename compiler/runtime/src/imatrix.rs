//! Importance matrices: the mean squared input of each column of each matrix on a calibration text.
//!
//! For every matrix and column: the sum of the squared inputs over all positions of all [`crate::chunks`], and the
//! number of positions. The importance is their quotient. Squares and sums are f64, with positions in ascending order
//! within a chunk and then chunk after chunk, and are rounded to f32 once at the end (llama.cpp adds in f32, in an
//! order that depends on its threads, so its numbers differ in the last digits).
//!
//! The head is not counted, whether it is a separate matrix or the token embedding; this is llama.cpp's default too.
//!
//! Source: `IMatrixCollector::collect_imatrix` in tools/imatrix/imatrix.cpp of llama.cpp.

use std::collections::BTreeMap;

use mc_tensor::model_tensor::ModelTensor;

use crate::cancellation::Cancellation;
use crate::chunks::{self, ChunkOptions};
use crate::error::RuntimeError;
use crate::logits::LogitPositions;
use crate::model::Model;
use crate::observer::{ActivationObserver, ProductInputs};

/// Version of the algorithm, for action digests: raised when a result may change in its last bit.
pub const VERSION: u32 = 1;

/// The inputs of one matrix, or of each matrix of a stack.
#[derive(Clone, Debug, PartialEq)]
pub struct ImatrixEntry {
    /// Sum of squared inputs per column, matrix after matrix.
    pub in_sum2: Vec<f32>,
    /// Number of positions summed, per matrix.
    pub counts: Vec<u64>,
}

impl ImatrixEntry {
    /// The mean squared input of each column, with which encoders weight errors. An expert that no token chose has 1
    /// everywhere, as in llama.cpp's quantizer.
    pub fn importance(&self) -> Vec<f32> {
        let n_columns = self.in_sum2.len() / self.counts.len().max(1);
        let of_matrix = |(sums, count): (&[f32], &u64)| -> Vec<f32> {
            let mean = |sum: &f32| if *count == 0 { 1.0 } else { sum / *count as f32 };
            sums.iter().map(mean).collect()
        };
        self.in_sum2.chunks_exact(n_columns.max(1)).zip(&self.counts).flat_map(of_matrix).collect()
    }
}

/// Importance of the columns of every matrix except the head and the embedding.
#[derive(Clone, Debug, PartialEq)]
pub struct Imatrix {
    /// The entry of each matrix.
    pub entries: BTreeMap<ModelTensor, ImatrixEntry>,
    /// Chunks that were run.
    pub n_chunks: usize,
    /// Tokens of a chunk.
    pub n_ctx: usize,
}

/// Computes the sums over a calibration text. Chunks run in parallel; the result does not depend on the number of
/// threads.
///
/// # Errors
/// If the text fills no chunk, the context is out of range, the model fails, or the computation is cancelled.
pub fn imatrix(
    model: &Model,
    tokens: &[u32],
    options: &ChunkOptions,
    cancellation: Cancellation<'_>,
) -> Result<Imatrix, RuntimeError> {
    let chunks = chunks::chunks(model, tokens, options)?;
    let collect = |chunk: &[u32]| {
        let mut collector = ImatrixCollector::default();
        let mut cache = model.new_cache(chunk.len());
        let nowhere = LogitPositions::Range(0..0);
        model.forward_unless(cancellation, chunk, &mut cache, &nowhere, Some(&mut collector))?;
        Ok(collector)
    };
    let mut total = ImatrixCollector::default();
    chunks::run_all(cancellation, &chunks, collect, |collector| total.add(&collector))?;
    let entries = total.into_entries();
    Ok(Imatrix { entries, n_chunks: chunks.len(), n_ctx: options.n_ctx })
}

/// An observer of forward passes that sums squared inputs.
#[derive(Clone, Debug, Default)]
pub struct ImatrixCollector {
    /// Sums, stored under the first of the matrices that share them.
    sums: BTreeMap<ModelTensor, SharedSums>,
}

#[derive(Clone, Debug)]
struct SharedSums {
    tensors: Vec<ModelTensor>,
    /// The sums, matrix after matrix.
    squares: Vec<f64>,
    counts: Vec<u64>,
}

impl ImatrixCollector {
    /// Adds the sums of a collector that ran after this one.
    pub fn add(&mut self, later: &Self) {
        for (first, later) in &later.sums {
            match self.sums.get_mut(first) {
                None => {
                    self.sums.insert(*first, later.clone());
                }
                Some(sums) => {
                    for (count, later) in sums.counts.iter_mut().zip(&later.counts) {
                        *count += later;
                    }
                    for (sum, later) in sums.squares.iter_mut().zip(&later.squares) {
                        *sum += later;
                    }
                }
            }
        }
    }

    /// The sums, rounded to f32.
    pub fn into_entries(self) -> BTreeMap<ModelTensor, ImatrixEntry> {
        let entries = self.sums.into_values().flat_map(|sums| {
            let in_sum2: Vec<f32> = sums.squares.iter().map(|sum| *sum as f32).collect();
            let entry = ImatrixEntry { in_sum2, counts: sums.counts };
            sums.tensors.into_iter().map(move |tensor| (tensor, entry.clone()))
        });
        entries.collect()
    }
}

impl ActivationObserver for ImatrixCollector {
    fn observe(&mut self, inputs: &ProductInputs<'_>) {
        let [first, ..] = inputs.tensors else { return };
        if matches!(first, ModelTensor::Output | ModelTensor::TokenEmbedding) {
            return;
        }
        let n_columns = inputs.n_columns;
        let n_matrices = inputs.chosen.map_or(1, |chosen| chosen.n_experts);
        let sums = self.sums.entry(*first).or_insert_with(|| SharedSums {
            tensors: inputs.tensors.to_vec(),
            squares: vec![0.0; n_columns * n_matrices],
            counts: vec![0; n_matrices],
        });
        for (matrix, rows) in inputs.by_matrix() {
            rows.chunks_exact(n_columns).for_each(|row| sums.add(matrix, row));
        }
    }
}

impl SharedSums {
    fn add(&mut self, matrix: usize, row: &[f32]) {
        for (sum, value) in self.squares[matrix * row.len()..].iter_mut().zip(row) {
            *sum += f64::from(*value) * f64::from(*value);
        }
        self.counts[matrix] += 1;
    }
}
