//! The table of metrics that gates support. To add one, write its file and list it here.

pub(crate) mod accuracy;
pub(crate) mod generation;
pub(crate) mod kl;
pub(crate) mod parity;
pub(crate) mod perplexity;
pub(crate) mod runtime_parity;
pub(crate) mod size;
pub(crate) mod tokenizer_fidelity;

use mc_ir::schema::ChildSchema;

use crate::evaluate::metric::Row;
use crate::evaluate::metrics::accuracy::Accuracy;
use crate::evaluate::metrics::generation::Generation;
use crate::evaluate::metrics::kl::Kl;
use crate::evaluate::metrics::parity::Parity;
use crate::evaluate::metrics::perplexity::Perplexity;
use crate::evaluate::metrics::runtime_parity::RuntimeParity;
use crate::evaluate::metrics::size::Size;
use crate::evaluate::metrics::tokenizer_fidelity::TokenizerFidelity;

/// Every metric, in the order of verdicts.
pub(crate) static METRICS: &[Row] = &[
    Row::of::<Perplexity>(),
    Row::of::<Kl>(),
    Row::of::<Parity>(),
    Row::of::<RuntimeParity>(),
    Row::of::<Accuracy>(),
    Row::of::<Generation>(),
    Row::of::<TokenizerFidelity>(),
    Row::of::<Size>(),
];

/// Number of metrics.
pub(crate) const N_METRICS: usize = METRICS.len();

/// The nodes of all metrics: the children of `gate` in a `model`.
pub(crate) static NODES: [ChildSchema; N_METRICS] = {
    let mut nodes = [METRICS[0].schema; N_METRICS];
    let mut index = 0;
    while index < N_METRICS {
        nodes[index] = METRICS[index].schema;
        index += 1;
    }
    nodes
};
