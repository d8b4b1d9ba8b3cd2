//! Depthwise convolution over time, as a sum of products: one for each column of the kernel, of which there are few.

use mc_graph::graph::Node;

use crate::lowering::Lowering;
use crate::tflite::code::Code;

/// `y[t, c] = sum over i of weight[c, i] * x[t + i, c]`.
pub(crate) fn lower(to: &mut Lowering<'_>, node: &Node) -> Result<(), String> {
    let [input, weight] = to.inputs(node)?;
    let (width, len) = (weight.shape[0], weight.shape[1]);
    let kernel = to.transpose(&weight, &[1, 0]);
    let mut sum = None;
    for i in 0..len {
        let rows = to.slice(&input, &[i, 0], &[to.n_tokens, width]);
        let column = to.slice(&kernel, &[i, 0], &[1, width]);
        let product = to.binary(Code::Mul, &rows, &column);
        sum = Some(match sum {
            Some(sum) => to.binary(Code::Add, &sum, &product),
            None => product,
        });
    }
    let sum = sum.ok_or("a convolution with an empty kernel")?;
    to.set(node.outputs[0], sum);
    Ok(())
}
