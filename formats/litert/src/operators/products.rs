//! Products with weights and between values, and rows of a table.
//!
//! Weights keep the layout `[out, in]` of a checkpoint: `FULLY_CONNECTED` takes them so.

use mc_graph::graph::Node;

use crate::lowering::Lowering;
use crate::tflite::code::{Code, Options};
use crate::tflite::element_type::ElementType;

/// An input that is absent.
const ABSENT: i32 = -1;

/// `x W^T`.
pub(crate) fn matmul(to: &mut Lowering<'_>, node: &Node) -> Result<(), String> {
    let [input, weight] = to.inputs(node)?;
    let mut shape = input.shape.clone();
    if let (Some(width), Some(n_rows)) = (shape.last_mut(), weight.shape.first()) {
        *width = *n_rows;
    }
    let inputs = [input.index, weight.index, ABSENT];
    let weights = Some(to.subgraph.element_type(&weight));
    let options = Options::FullyConnected;
    let output =
        to.subgraph.step(Code::FullyConnected, weights, options, &inputs, (ElementType::F32, &shape));
    to.set(node.outputs[0], output);
    Ok(())
}

/// `a b^T` for each pair of matrices.
pub(crate) fn batch_matmul(to: &mut Lowering<'_>, node: &Node) -> Result<(), String> {
    let [left, right] = to.inputs(node)?;
    let output = to.batch_matmul(&left, &right);
    to.set(node.outputs[0], output);
    Ok(())
}

/// Rows of a table. Numbers of blocks are not rows of `EMBEDDING_LOOKUP`, so tables have a scale for each row.
pub(crate) fn gather(to: &mut Lowering<'_>, node: &Node) -> Result<(), String> {
    let [table, rows] = to.inputs(node)?;
    let shape = [rows.shape.as_slice(), &table.shape[1..]].concat();
    let weights = Some(to.subgraph.element_type(&table));
    let inputs = [rows.index, table.index];
    let options = Options::of(Code::EmbeddingLookup);
    let output =
        to.subgraph.step(Code::EmbeddingLookup, weights, options, &inputs, (ElementType::F32, &shape));
    to.set(node.outputs[0], output);
    Ok(())
}
