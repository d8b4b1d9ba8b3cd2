//! `gather`: the rows of the token embedding, floats or codes in blocks.

use mc_exporter::refusal::Refusal;
use mc_graph::graph::Node;

use crate::layout;
use crate::onnx_value::{OnnxValue, ValueForm};
use crate::proto::{Attribute, MICROSOFT};
use crate::settings::STREAM;
use crate::translation::{Translation, View};
use crate::value_names::INPUT_IDS;
use crate::weight_form::{BlockForm, Weight, WeightForm};

/// Appends the nodes.
pub(super) fn translate(translation: &mut Translation<'_>, node: &Node) -> Result<(), Refusal> {
    let Some(table) = translation.weight(node.inputs[0]) else {
        return Err(Refusal::new("ONNX can only look up rows of a weight"));
    };
    let (name, element) = match table.form {
        WeightForm::Floats(element) => {
            let inputs = vec![table.name.clone(), INPUT_IDS.to_owned()];
            (translation.emit("Gather", "", inputs, Vec::new()), element)
        }
        WeightForm::Blocks(form) => (from_blocks(translation, table, form), form.scales),
    };
    let rows = OnnxValue { name, element, form: ValueForm::Rows, columns: None };
    let rows = translation.cast(&rows, STREAM);
    translation.set(node.outputs[0], rows);
    Ok(())
}

/// Decodes only the rows that are looked up. The head may read the same codes in another shape.
fn from_blocks(translation: &mut Translation<'_>, table: &Weight, form: BlockForm) -> String {
    let codes = layout::codes_name(&table.name, form.bits);
    let n_bytes = |width: u64| width * u64::from(form.bits) / 8;
    let view = View {
        name: format!("{codes}.rows"),
        of: codes,
        dims: table.shape.iter().take(1).copied().chain(table.shape.get(1).copied().map(n_bytes)).collect(),
    };
    let mut inputs = vec![view.name.clone(), INPUT_IDS.to_owned(), layout::scales_name(&table.name)];
    translation.translated.views.insert(view);
    if form.has_zero_points {
        inputs.push(layout::zero_points_name(&table.name));
    }
    let attributes = vec![
        ("bits", Attribute::Int(form.bits.into())),
        ("block_size", Attribute::Int(form.len.cast_signed())),
        ("gather_axis", Attribute::Int(0)),
        ("quantize_axis", Attribute::Int(1)),
    ];
    translation.emit("GatherBlockQuantized", MICROSOFT, inputs, attributes)
}
