//! `add`: a bias, or the residual stream, which `SkipSimplifiedLayerNormalization` adds and normalizes at once.

use mc_exporter::refusal::Refusal;
use mc_graph::graph::Node;
use mc_graph::ids::ValueId;
use mc_graph::operators::rms_norm::RmsNorm;

use crate::element_type::ElementType;
use crate::onnx_value::{OnnxValue, ValueForm};
use crate::proto::{Attribute, MICROSOFT};
use crate::translation::Translation;

/// Appends the nodes.
pub(super) fn translate(translation: &mut Translation<'_>, node: &Node) -> Result<(), Refusal> {
    let output = node.outputs[0];
    let [left, right] = node.inputs[..] else { unreachable!("a sum has two terms") };
    if let Some(bias) = translation.weight(right) {
        let rows = translation.rows(left)?;
        let bias = translation.floats(bias, rows.element)?;
        let of = (rows.element, ValueForm::Rows);
        translation.emit_value(output, ("Add", ""), vec![rows.name, bias], Vec::new(), of);
        return Ok(());
    }
    let [left, right] = wider(translation, left, right)?;
    if add_and_normalize(translation, output, &left, &right)? {
        return Ok(());
    }
    let of = (left.element, ValueForm::Rows);
    translation.emit_value(output, ("Add", ""), vec![left.name, right.name], Vec::new(), of);
    Ok(())
}

/// Both values as rows, in the wider of their types.
pub(super) fn wider(
    translation: &mut Translation<'_>,
    left: ValueId,
    right: ValueId,
) -> Result<[OnnxValue; 2], Refusal> {
    let values = [translation.rows(left)?, translation.rows(right)?];
    let is_wide = values.iter().any(|value| value.element == ElementType::Float);
    let element = if is_wide { ElementType::Float } else { values[0].element };
    Ok(values.map(|value| translation.cast(&value, element)))
}

/// Adds a node for the sum and the norm that reads it, if there is exactly one such norm.
fn add_and_normalize(
    translation: &mut Translation<'_>,
    sum: ValueId,
    left: &OnnxValue,
    right: &OnnxValue,
) -> Result<bool, Refusal> {
    let norms: Vec<&Node> =
        translation.consumers(sum).filter(|node| node.operator.get::<RmsNorm>().is_some()).collect();
    let [norm] = norms[..] else { return Ok(false) };
    let Some(RmsNorm { epsilon }) = norm.operator.get::<RmsNorm>() else { return Ok(false) };
    let is_read_elsewhere = translation.consumers(sum).count() > 1;
    let Some(weight) = translation.weight(norm.inputs[1]) else { return Ok(false) };
    let weight = translation.floats(weight, left.element)?;
    let normed = translation.fresh("Norm");
    let total = translation.fresh("Sum");
    let mut outputs = vec![normed.clone()];
    if is_read_elsewhere {
        outputs.extend([String::new(), String::new(), total.clone()]);
    }
    let inputs = vec![left.name.clone(), right.name.clone(), weight];
    let attributes = vec![("epsilon", Attribute::Float(*epsilon))];
    translation.emit_to("SkipSimplifiedLayerNormalization", MICROSOFT, inputs, outputs, attributes);
    let value = |name| OnnxValue { name, element: left.element, form: ValueForm::Rows, columns: None };
    translation.set(norm.outputs[0], value(normed));
    translation.set(sum, value(total));
    Ok(true)
}
