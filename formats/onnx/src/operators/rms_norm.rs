//! `rms_norm`: a norm of rows, or of each head.

use mc_exporter::refusal::Refusal;
use mc_graph::graph::Node;
use mc_graph::operators::rms_norm::RmsNorm;

use crate::proto::Attribute;
use crate::translation::Translation;

/// Appends the nodes.
pub(super) fn translate(translation: &mut Translation<'_>, node: &Node) -> Result<(), Refusal> {
    let Some(RmsNorm { epsilon }) = node.operator.get::<RmsNorm>() else {
        unreachable!("the row of `rms_norm`")
    };
    let is_heads = translation.widths(node.inputs[0]).len() > 1;
    let value =
        if is_heads { translation.heads(node.inputs[0])? } else { translation.rows(node.inputs[0])? };
    let Some(weight) = translation.weight(node.inputs[1]) else {
        return Err(Refusal::new("ONNX can only scale a norm by a weight"));
    };
    let weight = translation.floats(weight, value.element)?;
    // ONNX Runtime registers this operator of its own in the domain of ONNX.
    let kind = ("SimplifiedLayerNormalization", "");
    let attributes = vec![
        ("axis", Attribute::Int(-1)),
        ("epsilon", Attribute::Float(*epsilon)),
        ("stash_type", Attribute::Int(1)),
    ];
    let of = (value.element, value.form);
    translation.emit_value(node.outputs[0], kind, vec![value.name, weight], attributes, of);
    Ok(())
}
