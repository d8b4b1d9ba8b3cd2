//! Operators that work element by element or along the last dimension, of one step or two each.

use mc_graph::graph::Node;
use mc_graph::operators::offset::Offset;
use mc_graph::operators::scale::Scale;

use crate::lowering::{Lowering, operator};
use crate::tflite::code::{Code, Options};

/// An operator of one input that LiteRT has.
pub(crate) fn unary(to: &mut Lowering<'_>, node: &Node, code: Code) -> Result<(), String> {
    let [input] = to.inputs(node)?;
    let output = to.unary(code, &input);
    to.set(node.outputs[0], output);
    Ok(())
}

/// An operator of two inputs that LiteRT has.
pub(crate) fn binary(to: &mut Lowering<'_>, node: &Node, code: Code) -> Result<(), String> {
    let [left, right] = to.inputs(node)?;
    let output = to.binary(code, &left, &right);
    to.set(node.outputs[0], output);
    Ok(())
}

/// A reduction of the last dimension that LiteRT has.
pub(crate) fn reduce(to: &mut Lowering<'_>, node: &Node, code: Code) -> Result<(), String> {
    let [input] = to.inputs(node)?;
    let output = to.reduce(code, &input);
    to.set(node.outputs[0], output);
    Ok(())
}

/// `factor * x`.
pub(crate) fn scale(to: &mut Lowering<'_>, node: &Node) -> Result<(), String> {
    let factor = operator::<Scale>(node)?.factor;
    let [input] = to.inputs(node)?;
    let output = to.scale(&input, factor);
    to.set(node.outputs[0], output);
    Ok(())
}

/// `x + term`.
pub(crate) fn offset(to: &mut Lowering<'_>, node: &Node) -> Result<(), String> {
    let term = operator::<Offset>(node)?.term;
    let [input] = to.inputs(node)?;
    let term = to.subgraph.numbers(&[term]);
    let output = to.binary(Code::Add, &input, &term);
    to.set(node.outputs[0], output);
    Ok(())
}

/// `x * sigmoid(x)`.
pub(crate) fn silu(to: &mut Lowering<'_>, node: &Node) -> Result<(), String> {
    let [input] = to.inputs(node)?;
    let share = to.unary(Code::Logistic, &input);
    let output = to.binary(Code::Mul, &input, &share);
    to.set(node.outputs[0], output);
    Ok(())
}

/// The Gaussian error unit, approximated by the hyperbolic tangent.
pub(crate) fn gelu_tanh(to: &mut Lowering<'_>, node: &Node) -> Result<(), String> {
    let [input] = to.inputs(node)?;
    let output = to.unary_with(Code::Gelu, Options::GeluTanh, &input);
    to.set(node.outputs[0], output);
    Ok(())
}

/// `exp(x) / sum(exp(x))`.
pub(crate) fn softmax(to: &mut Lowering<'_>, node: &Node) -> Result<(), String> {
    let [input] = to.inputs(node)?;
    let output = to.softmax(&input);
    to.set(node.outputs[0], output);
    Ok(())
}
