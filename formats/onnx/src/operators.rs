//! The operators of the graph in ONNX: one row for each.
//!
//! A row appends nodes to the translation. Operators that exist only as part of another one have an empty row: the
//! operator that fuses them reads their inputs.

mod add;
mod attention;
mod elementwise;
mod gather;
mod matmul;
mod rms_norm;
mod rotary_tables;
mod shape;
mod short_convolution;

use mc_exporter::refusal::Refusal;
use mc_graph::graph::Node;

use crate::translation::Translation;

/// A row of the table: an operator of the graph and its translation.
pub(crate) struct OperatorRow {
    /// The name of the operator.
    name: &'static str,
    /// Appends its nodes.
    pub(crate) translate: fn(&mut Translation<'_>, &Node) -> Result<(), Refusal>,
}

/// Every operator that can be translated.
const OPERATORS: &[OperatorRow] = &[
    OperatorRow { name: "add", translate: add::translate },
    OperatorRow { name: "attention", translate: attention::translate },
    OperatorRow { name: "cache_update", translate: fused },
    OperatorRow { name: "conv1d", translate: short_convolution::translate },
    OperatorRow { name: "gather", translate: gather::translate },
    OperatorRow { name: "gelu_tanh", translate: elementwise::gelu_tanh },
    OperatorRow { name: "matmul", translate: matmul::translate },
    OperatorRow { name: "mul", translate: elementwise::mul },
    OperatorRow { name: "recent_rows", translate: fused },
    OperatorRow { name: "reshape", translate: shape::reshape },
    OperatorRow { name: "rms_norm", translate: rms_norm::translate },
    OperatorRow { name: "rope", translate: fused },
    OperatorRow { name: "rotary_angles", translate: fused },
    OperatorRow { name: "scale", translate: elementwise::scale },
    OperatorRow { name: "silu", translate: elementwise::silu },
    OperatorRow { name: "slice", translate: shape::slice },
    OperatorRow { name: "soft_cap", translate: elementwise::soft_cap },
];

/// The row of the operator with this name.
pub(crate) fn by_name(name: &str) -> Option<&'static OperatorRow> {
    OPERATORS.iter().find(|row| row.name == name)
}

/// An operator that another one computes, too.
fn fused(_: &mut Translation<'_>, _: &Node) -> Result<(), Refusal> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_operators_of_the_graph() {
        for row in OPERATORS {
            assert!(mc_graph::operators::by_name(row.name).is_some(), "{}", row.name);
        }
    }
}
