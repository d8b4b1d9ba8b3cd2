//! Importance matrices: how strongly each input column of each matrix is used on a calibration text.
//!
//! For every matrix and column: the sum over all positions of all [`crate::chunks`] of the squared input, and the
//! number of positions. Importance is their quotient. Squares and sums are f64, each chunk's positions in ascending
//! order and then chunk after chunk, and are rounded to f32 once at the end (llama.cpp adds in f32, in an order that
//! depends on its threads, so its numbers differ in the last digits).
//!
//! The head is not counted, be it a matrix of its own or the token embedding: so does llama.cpp by default.
//!
//! Source: `IMatrixCollector::collect_imatrix` in tools/imatrix/imatrix.cpp of llama.cpp.

use std::collections::BTreeMap;

use mc_tensor::model_tensor::ModelTensor;

use crate::cancellation::Cancellation;
use crate::chunks::{self, ChunkOptions};
use crate::error::RuntimeError;
use crate::logits::LogitPositions;
use crate::model::Model;
use crate::observer::ActivationObserver;

/// Version of the algorithm, for action digests: raised when a result may change in its last bit.
pub const VERSION: u32 = 1;

/// What one matrix was fed.
#[derive(Clone, Debug, PartialEq)]
pub struct ImatrixEntry {
    /// Sum of squared inputs, per column.
    pub in_sum2: Vec<f32>,
    /// Positions summed over.
    pub count: u64,
}

impl ImatrixEntry {
    /// The mean squared input of each column: what encoders weigh errors by.
    pub fn importance(&self) -> Vec<f32> {
        self.in_sum2.iter().map(|sum| sum / self.count as f32).collect()
    }
}

/// Importance of the columns of every matrix but the head and the embedding.
#[derive(Clone, Debug, PartialEq)]
pub struct Imatrix {
    /// By matrix.
    pub entries: BTreeMap<ModelTensor, ImatrixEntry>,
    /// Chunks that were run.
    pub n_chunks: usize,
    /// Tokens of a chunk.
    pub n_ctx: usize,
}

/// Sums over a calibration text; chunks run in parallel, and the result does not depend on the number of threads.
///
/// # Errors
/// If the text fills no chunk, the context is out of range, the model fails, or nobody wants the result any more.
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
    chunks::run_all(&chunks, collect, |collector| total.add(&collector))?;
    let entries = total.into_entries();
    Ok(Imatrix { entries, n_chunks: chunks.len(), n_ctx: options.n_ctx })
}

/// Sums squared inputs as an observer of forward passes.
#[derive(Clone, Debug, Default)]
pub struct ImatrixCollector {
    /// Sums under the first of the matrices that share them.
    sums: BTreeMap<ModelTensor, SharedSums>,
}

#[derive(Clone, Debug)]
struct SharedSums {
    tensors: Vec<ModelTensor>,
    squares: Vec<f64>,
    count: u64,
}

impl ImatrixCollector {
    /// Adds what another collector saw after this one.
    pub fn add(&mut self, later: &Self) {
        for (first, later) in &later.sums {
            match self.sums.get_mut(first) {
                None => {
                    self.sums.insert(*first, later.clone());
                }
                Some(sums) => {
                    sums.count += later.count;
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
            let entry = ImatrixEntry { in_sum2, count: sums.count };
            sums.tensors.into_iter().map(move |tensor| (tensor, entry.clone()))
        });
        entries.collect()
    }
}

impl ActivationObserver for ImatrixCollector {
    fn observe(&mut self, tensors: &[ModelTensor], inputs: &[f32], n_columns: usize) {
        let [first, ..] = tensors else { return };
        if matches!(first, ModelTensor::Output | ModelTensor::TokenEmbedding) {
            return;
        }
        let sums = self.sums.entry(*first).or_insert_with(|| SharedSums {
            tensors: tensors.to_vec(),
            squares: vec![0.0; n_columns],
            count: 0,
        });
        for row in inputs.chunks_exact(n_columns) {
            for (sum, value) in sums.squares.iter_mut().zip(row) {
                *sum += f64::from(*value) * f64::from(*value);
            }
            sums.count += 1;
        }
    }
}
