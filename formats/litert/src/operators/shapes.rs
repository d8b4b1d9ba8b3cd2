//! Operators that move elements.

use mc_graph::graph::Node;
use mc_graph::operators::reshape::Reshape;
use mc_graph::operators::slice::Slice;
use mc_graph::operators::transpose::Transpose;

use crate::lowering::{Lowering, operator};

/// The same elements with another shape.
pub(crate) fn reshape(to: &mut Lowering<'_>, node: &Node) -> Result<(), String> {
    let shape = to.shape(&operator::<Reshape>(node)?.dims);
    let [input] = to.inputs(node)?;
    let output = to.reshape(&input, &shape);
    to.set(node.outputs[0], output);
    Ok(())
}

/// A permutation of dimensions.
pub(crate) fn transpose(to: &mut Lowering<'_>, node: &Node) -> Result<(), String> {
    let order = &operator::<Transpose>(node)?.order;
    let [input] = to.inputs(node)?;
    let output = to.transpose(&input, order);
    to.set(node.outputs[0], output);
    Ok(())
}

/// A range of the last dimension.
pub(crate) fn slice(to: &mut Lowering<'_>, node: &Node) -> Result<(), String> {
    let Slice { start, len } = *operator::<Slice>(node)?;
    let [input] = to.inputs(node)?;
    let (mut starts, mut shape) = (vec![0; input.shape.len()], input.shape.clone());
    if let (Some(first), Some(width)) = (starts.last_mut(), shape.last_mut()) {
        (*first, *width) = (start, len);
    }
    let output = to.slice(&input, &starts, &shape);
    to.set(node.outputs[0], output);
    Ok(())
}

/// Tensors joined along the last dimension.
pub(crate) fn concat(to: &mut Lowering<'_>, node: &Node) -> Result<(), String> {
    let inputs: Vec<_> = node.inputs.iter().map(|input| to.value(*input)).collect::<Result<_, _>>()?;
    let last = inputs.first().map_or(0, |input| input.shape.len().saturating_sub(1));
    let output = to.concat(&inputs, last);
    to.set(node.outputs[0], output);
    Ok(())
}
