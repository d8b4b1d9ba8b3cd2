//! Statistics of the inputs of a model's matrices on a calibration text. Each statistic is a file in `statistics/` and
//! a row here.

pub mod channel_max;
pub mod collector;
pub mod diagonal;
pub mod gram;
pub mod statistic;

use std::collections::BTreeMap;

use mc_tensor::model_tensor::ModelTensor;

use crate::cancellation::Cancellation;
use crate::chunks::{self, ChunkOptions};
use crate::error::RuntimeError;
use crate::logits::LogitPositions;
use crate::model::Model;
use crate::statistics::collector::{Collector, Measured};
use crate::statistics::statistic::{Order, Statistic};

/// Every statistic.
pub static STATISTICS: &[&Statistic] = &[&diagonal::DIAGONAL, &gram::GRAM, &channel_max::CHANNEL_MAX];

/// The statistic with this name, for example `diagonal`.
pub fn by_name(name: &str) -> Option<&'static Statistic> {
    STATISTICS.iter().copied().find(|statistic| statistic.name == name)
}

/// Every name, in the order of the table.
pub fn names() -> Vec<&'static str> {
    STATISTICS.iter().map(|statistic| statistic.name).collect()
}

/// Statistics of the matrices of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// The statistic of each matrix, without head and embedding.
    pub matrices: BTreeMap<ModelTensor, Measured>,
    /// Number of chunks that were run.
    pub n_chunks: usize,
}

/// Measures a statistic on a calibration text.
///
/// # Errors
/// If the text fills no chunk, the context is out of range, the model fails, or the computation is cancelled.
pub fn measure(
    statistic: &'static Statistic,
    model: &Model,
    tokens: &[u32],
    options: &ChunkOptions,
    cancellation: Cancellation<'_>,
) -> Result<Measurement, RuntimeError> {
    let chunks = chunks::chunks(model, tokens, options)?;
    let observe = |chunk: &[u32], collector: &mut Collector| {
        let mut cache = model.new_cache(chunk.len());
        let nowhere = LogitPositions::Range(0..0);
        model.forward_unless(cancellation, chunk, &mut cache, &nowhere, Some(collector)).map(drop)
    };
    let mut total = Collector::new(statistic);
    match statistic.order {
        Order::OneByOne => {
            for (chunk_idx, chunk) in chunks.iter().enumerate() {
                observe(chunk, &mut total)?;
                chunks::report(cancellation, &chunks, chunk_idx + 1);
            }
        }
        Order::SideBySide => {
            let collect = |chunk: &[u32]| {
                let mut collector = Collector::new(statistic);
                observe(chunk, &mut collector)?;
                Ok(collector)
            };
            chunks::run_all(cancellation, &chunks, collect, |collector| total.join(collector))?;
        }
    }
    Ok(Measurement { matrices: total.finish(), n_chunks: chunks.len() })
}
