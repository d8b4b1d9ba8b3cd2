//! Causal attention with grouped heads over the whole cache.
//!
//! The query heads of a group are rows of one matrix, so keys and values are not repeated. The mask, which the caller
//! computes, hides the positions that are not written yet.

use mc_graph::graph::Node;
use mc_graph::operators::attention::Attention;

use crate::lowering::Lowering;
use crate::operators::operator;
use crate::tflite::code::Code;

/// `softmax(cap(scale * q k^T) + mask) v` for each head.
pub(crate) fn lower(to: &mut Lowering<'_>, node: &Node) -> Result<(), String> {
    let Attention { scale, window, soft_cap } = *operator::<Attention>(node)?;
    let [queries, keys, values] = to.inputs(node)?;
    let [n_tokens, n_heads, width] = queries.shape[..] else {
        return Err("queries that are not heads".to_owned());
    };
    let (n_kv_heads, n_positions) = (keys.shape[1], keys.shape[2]);
    let value_width = values.shape[2];
    let n_rows = n_heads / n_kv_heads * n_tokens;

    let queries = to.scale(&queries, scale);
    let queries = to.transpose(&queries, &[1, 0, 2]);
    let queries = to.reshape(&queries, &[1, n_kv_heads, n_rows, width]);
    let mut scores = to.batch_matmul(&queries, &keys);
    if let Some(cap) = soft_cap {
        let small = to.scale(&scores, 1.0 / cap);
        let bent = to.unary(Code::Tanh, &small);
        scores = to.scale(&bent, cap);
    }
    let scores = to.reshape(&scores, &[1, n_heads, n_tokens, n_positions]);
    let mask = to.mask(window);
    let masked = to.binary(Code::Add, &scores, &mask);
    let shares = to.softmax(&masked);
    let shares = to.reshape(&shares, &[1, n_kv_heads, n_rows, n_positions]);
    let mixed = to.batch_matmul(&shares, &values);
    let mixed = to.reshape(&mixed, &[n_heads, n_tokens, value_width]);
    let mixed = to.transpose(&mixed, &[1, 0, 2]);
    to.set(node.outputs[0], mixed);
    Ok(())
}
