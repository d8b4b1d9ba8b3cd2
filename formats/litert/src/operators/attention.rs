//! Causal attention with grouped heads over the whole cache.
//!
//! The query heads of a group are rows of one matrix, so keys and values are not repeated. The mask, which the caller
//! computes, hides the positions that are not written yet. Long prompts are computed in blocks, because the scores of all
//! their tokens at once would take gigabytes.

use mc_graph::graph::Node;
use mc_graph::operators::attention::Attention;

use crate::lowering::{Lowering, operator};
use crate::tflite::code::Code;
use crate::tflite::subgraph::Tensor;

/// Number of tokens whose scores are computed at once.
const BLOCK: u32 = 256;

/// `softmax(cap(scale * q k^T) + mask) v` for each head.
pub(crate) fn lower(to: &mut Lowering<'_>, node: &Node) -> Result<(), String> {
    let attention = operator::<Attention>(node)?;
    let [queries, keys, values] = to.inputs(node)?;
    let [n_tokens, n_heads, width] = queries.shape[..] else {
        return Err("queries that are not heads".to_owned());
    };
    let queries = to.scale(&queries, attention.scale);
    let mask = to.mask(attention.window);
    let mut mixed = Vec::new();
    for start in (0..n_tokens).step_by(BLOCK as usize) {
        let len = BLOCK.min(n_tokens - start);
        let queries = to.slice(&queries, &[start, 0, 0], &[len, n_heads, width]);
        let mask = to.slice(&mask, &[0, 0, start, 0], &[1, 1, len, mask.shape[3]]);
        mixed.push(block(to, attention.soft_cap, [&queries, &keys, &values], &mask));
    }
    let mixed = to.concat(&mixed, 0);
    to.set(node.outputs[0], mixed);
    Ok(())
}

/// The attention of some tokens, `[tokens, heads, value_dim]`.
fn block(
    to: &mut Lowering<'_>,
    soft_cap: Option<f32>,
    [queries, keys, values]: [&Tensor; 3],
    mask: &Tensor,
) -> Tensor {
    let (n_tokens, n_heads, width) = (queries.shape[0], queries.shape[1], queries.shape[2]);
    let (n_kv_heads, n_positions) = (keys.shape[1], keys.shape[2]);
    let value_width = values.shape[2];
    let n_rows = n_heads / n_kv_heads * n_tokens;
    let queries = to.transpose(queries, &[1, 0, 2]);
    let queries = to.reshape(&queries, &[1, n_kv_heads, n_rows, width]);
    let mut scores = to.batch_matmul(&queries, keys);
    if let Some(cap) = soft_cap {
        let small = to.scale(&scores, 1.0 / cap);
        let bent = to.unary(Code::Tanh, &small);
        scores = to.scale(&bent, cap);
    }
    let scores = to.reshape(&scores, &[1, n_heads, n_tokens, n_positions]);
    let masked = to.binary(Code::Add, &scores, mask);
    let shares = to.softmax(&masked);
    let shares = to.reshape(&shares, &[1, n_kv_heads, n_rows, n_positions]);
    let mixed = to.batch_matmul(&shares, values);
    let mixed = to.reshape(&mixed, &[n_heads, n_tokens, value_width]);
    to.transpose(&mixed, &[1, 0, 2])
}
