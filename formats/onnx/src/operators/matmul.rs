//! `matmul`: a product with a weight, which files store as the checkpoint does, one row per output.

use mc_exporter::refusal::Refusal;
use mc_graph::graph::Node;

use crate::layout;
use crate::onnx_value::{OnnxValue, ValueForm};
use crate::proto::{Attribute, MICROSOFT};
use crate::translation::Translation;
use crate::weight_form::{BlockForm, Weight, WeightForm};

/// Appends the nodes.
pub(super) fn translate(translation: &mut Translation<'_>, node: &Node) -> Result<(), Refusal> {
    let rows = translation.rows(node.inputs[0])?;
    let Some(weight) = translation.weight(node.inputs[1]) else {
        return Err(Refusal::new("ONNX can only multiply with a weight"));
    };
    let element = translation.plan.settings.activations;
    match weight.form {
        WeightForm::Floats(_) => {
            let rows = translation.cast(&rows, element);
            let weight = translation.floats(weight, element)?;
            let attributes = vec![("transB", Attribute::Int(1))];
            let of = (element, ValueForm::Rows);
            let kind = ("FusedMatMul", MICROSOFT);
            translation.emit_value(node.outputs[0], kind, vec![rows.name, weight], attributes, of);
        }
        WeightForm::Blocks(form) => with_blocks(translation, node, &rows, weight, form),
    }
    Ok(())
}

fn with_blocks(
    translation: &mut Translation<'_>,
    node: &Node,
    rows: &OnnxValue,
    weight: &Weight,
    form: BlockForm,
) {
    let rows = translation.cast(rows, form.scales);
    let mut inputs =
        vec![rows.name, layout::codes_name(&weight.name, form.bits), layout::scales_name(&weight.name)];
    if form.has_zero_points {
        inputs.push(layout::zero_points_name(&weight.name));
    }
    let size = |index: usize| Attribute::Int(weight.shape.get(index).map_or(0, |size| size.cast_signed()));
    let attributes = vec![
        ("K", size(1)),
        ("N", size(0)),
        ("bits", Attribute::Int(form.bits.into())),
        ("block_size", Attribute::Int(form.len.cast_signed())),
        ("accuracy_level", Attribute::Int(translation.plan.settings.accuracy_level)),
    ];
    let of = (form.scales, ValueForm::Rows);
    translation.emit_value(node.outputs[0], ("MatMulNBits", MICROSOFT), inputs, attributes, of);
}
