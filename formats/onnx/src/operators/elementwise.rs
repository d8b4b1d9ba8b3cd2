//! Operators that compute each element separately.

use mc_exporter::refusal::Refusal;
use mc_graph::graph::Node;
use mc_graph::operators::scale::Scale;
use mc_graph::operators::soft_cap::SoftCap;

use crate::onnx_value::ValueForm;
use crate::operators::add::wider;
use crate::proto::Attribute;
use crate::translation::Translation;

/// `mul`: a product.
pub(super) fn mul(translation: &mut Translation<'_>, node: &Node) -> Result<(), Refusal> {
    let [left, right] = wider(translation, node.inputs[0], node.inputs[1])?;
    let of = (left.element, ValueForm::Rows);
    translation.emit_value(node.outputs[0], ("Mul", ""), vec![left.name, right.name], Vec::new(), of);
    Ok(())
}

/// `silu`: `x * sigmoid(x)`.
pub(super) fn silu(translation: &mut Translation<'_>, node: &Node) -> Result<(), Refusal> {
    let rows = translation.rows(node.inputs[0])?;
    let gate = translation.emit("Sigmoid", "", vec![rows.name.clone()], Vec::new());
    let of = (rows.element, ValueForm::Rows);
    translation.emit_value(node.outputs[0], ("Mul", ""), vec![rows.name, gate], Vec::new(), of);
    Ok(())
}

/// `gelu_tanh`.
pub(super) fn gelu_tanh(translation: &mut Translation<'_>, node: &Node) -> Result<(), Refusal> {
    let rows = translation.rows(node.inputs[0])?;
    let attributes = vec![("approximate", Attribute::Text("tanh"))];
    let of = (rows.element, ValueForm::Rows);
    translation.emit_value(node.outputs[0], ("Gelu", ""), vec![rows.name], attributes, of);
    Ok(())
}

/// `scale`: a product with a constant.
pub(super) fn scale(translation: &mut Translation<'_>, node: &Node) -> Result<(), Refusal> {
    let Some(Scale { factor }) = node.operator.get::<Scale>() else { unreachable!("the row of `scale`") };
    let rows = translation.rows(node.inputs[0])?;
    let factor = translation.number(rows.element, *factor);
    let of = (rows.element, ValueForm::Rows);
    translation.emit_value(node.outputs[0], ("Mul", ""), vec![rows.name, factor], Vec::new(), of);
    Ok(())
}

/// `soft_cap`: `cap * tanh(x / cap)`.
pub(super) fn soft_cap(translation: &mut Translation<'_>, node: &Node) -> Result<(), Refusal> {
    let Some(SoftCap { cap }) = node.operator.get::<SoftCap>() else { unreachable!("the row of `soft_cap`") };
    let rows = translation.rows(node.inputs[0])?;
    let cap = translation.number(rows.element, *cap);
    let small = translation.emit("Div", "", vec![rows.name, cap.clone()], Vec::new());
    let bent = translation.emit("Tanh", "", vec![small], Vec::new());
    let of = (rows.element, ValueForm::Rows);
    translation.emit_value(node.outputs[0], ("Mul", ""), vec![bent, cap], Vec::new(), of);
    Ok(())
}
