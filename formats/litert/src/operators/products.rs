//! Products with weights and between values, and rows of a table.
//!
//! Weights keep the layout `[out, in]` of a checkpoint: `FULLY_CONNECTED` takes them so.

use mc_graph::graph::Node;

use crate::lowering::Lowering;
use crate::settings::ActivationBits;
use crate::tflite::code::{Code, Options};
use crate::tflite::element_type::ElementType;

/// `x W^T`.
pub(crate) fn matmul(to: &mut Lowering<'_>, node: &Node) -> Result<(), String> {
    let [input, weight] = to.inputs(node)?;
    let is_quantized = to.subgraph.element_type(&weight) != ElementType::F32;
    let output = match to.shared.activation_bits {
        ActivationBits::Sixteen if is_quantized => to.product_of_halves(&input, &weight),
        _ => to.product(&input, &weight),
    };
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
