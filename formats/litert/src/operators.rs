//! The operators of a graph that LiteRT can express: one row each, and a file for those that take more than one step.
//!
//! An operator without a row is replaced by its decomposition; if it has none, the model is refused.

mod attention;
mod caches;
mod convolution;
mod elementwise;
mod products;
mod rotary_angles;
mod shapes;

use mc_graph::graph::Node;

use crate::lowering::Lowering;
use crate::tflite::code::Code;

/// An operator of a graph, and its lowering.
pub(crate) struct OperatorLowering {
    /// Its name in the graph.
    pub(crate) name: &'static str,
    /// Adds the operators of LiteRT that compute a node.
    pub(crate) lower: fn(&mut Lowering<'_>, &Node) -> Result<(), String>,
}

/// A row for each operator, by name.
pub(crate) const OPERATORS: &[OperatorLowering] = &[
    OperatorLowering { name: "add", lower: |to, node| elementwise::binary(to, node, Code::Add) },
    OperatorLowering { name: "attention", lower: attention::lower },
    OperatorLowering { name: "batch_matmul", lower: products::batch_matmul },
    OperatorLowering { name: "cache_update", lower: caches::cache_update },
    OperatorLowering { name: "concat", lower: shapes::concat },
    OperatorLowering { name: "conv1d", lower: convolution::lower },
    OperatorLowering { name: "div", lower: |to, node| elementwise::binary(to, node, Code::Div) },
    OperatorLowering { name: "exp", lower: |to, node| elementwise::unary(to, node, Code::Exp) },
    OperatorLowering { name: "gather", lower: products::gather },
    OperatorLowering { name: "gelu_tanh", lower: elementwise::gelu_tanh },
    OperatorLowering { name: "matmul", lower: products::matmul },
    OperatorLowering { name: "mul", lower: |to, node| elementwise::binary(to, node, Code::Mul) },
    OperatorLowering { name: "offset", lower: elementwise::offset },
    OperatorLowering { name: "recent_rows", lower: caches::recent_rows },
    OperatorLowering { name: "reduce_max", lower: |to, node| elementwise::reduce(to, node, Code::ReduceMax) },
    OperatorLowering { name: "reduce_mean", lower: |to, node| elementwise::reduce(to, node, Code::Mean) },
    OperatorLowering { name: "reduce_sum", lower: |to, node| elementwise::reduce(to, node, Code::Sum) },
    OperatorLowering { name: "reshape", lower: shapes::reshape },
    OperatorLowering { name: "rotary_angles", lower: rotary_angles::lower },
    OperatorLowering { name: "rsqrt", lower: |to, node| elementwise::unary(to, node, Code::Rsqrt) },
    OperatorLowering { name: "scale", lower: elementwise::scale },
    OperatorLowering { name: "silu", lower: elementwise::silu },
    OperatorLowering { name: "slice", lower: shapes::slice },
    OperatorLowering { name: "softmax", lower: elementwise::softmax },
    OperatorLowering { name: "sub", lower: |to, node| elementwise::binary(to, node, Code::Sub) },
    OperatorLowering { name: "tanh", lower: |to, node| elementwise::unary(to, node, Code::Tanh) },
    OperatorLowering { name: "transpose", lower: shapes::transpose },
];

/// The row of an operator.
pub(crate) fn by_name(name: &str) -> Option<&'static OperatorLowering> {
    OPERATORS.iter().find(|operator| operator.name == name)
}
