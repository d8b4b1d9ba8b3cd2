//! `conv1d` over `recent_rows`: a short convolution whose last columns are a state of the runtime.

use mc_exporter::refusal::Refusal;
use mc_graph::graph::Node;
use mc_graph::operators::recent_rows::RecentRows;

use crate::onnx_value::{OnnxValue, ValueForm};
use crate::proto::{Attribute, MICROSOFT, OnnxDim, ValueInfo};
use crate::translation::Translation;
use crate::value_names::{past_columns, present_columns};

/// Appends the nodes.
pub(super) fn translate(translation: &mut Translation<'_>, node: &Node) -> Result<(), Refusal> {
    let Some((RecentRows { n_before, .. }, recent)) = translation.producer::<RecentRows>(node.inputs[0])
    else {
        return Err(Refusal::new("ONNX Runtime has `conv1d` only over the recent rows of a state"));
    };
    let element = translation.plan.settings.activations;
    let rows = translation.rows(recent.inputs[0])?;
    let rows = translation.cast(&rows, element);
    let n_channels = translation.widths(node.outputs[0])[0];
    let Some(kernel) = translation.weight(node.inputs[1]) else {
        return Err(Refusal::new("ONNX Runtime has `conv1d` only with a weight"));
    };
    let kernel = translation.floats(kernel, element)?;
    let block = translation.convolution_blocks.pop();
    let block = block.ok_or_else(|| Refusal::new("ONNX Runtime GenAI has one convolution per layer"))?;
    let state = |name, length| ValueInfo {
        name,
        element,
        dims: vec![OnnxDim::Named("batch_size"), OnnxDim::Fixed(n_channels.into()), OnnxDim::Fixed(length)],
    };
    let (past, present) = (past_columns(block), present_columns(block));
    let length = u64::from(*n_before);
    translation.translated.graph.inputs.push(state(past.clone(), length));
    translation.translated.graph.outputs.push(state(present.clone(), length));
    let swap = || vec![("perm", Attribute::Ints(vec![0, 2, 1]))];
    let columns = translation.emit("Transpose", "", vec![rows.name], swap());
    let mixed = translation.fresh("CausalConvWithState");
    let attributes = vec![("activation", Attribute::Text("none")), ("ndim", Attribute::Int(1))];
    let inputs = vec![columns, kernel, String::new(), past];
    let outputs = vec![mixed.clone(), present];
    translation.emit_to("CausalConvWithState", MICROSOFT, inputs, outputs, attributes);
    let name = translation.emit("Transpose", "", vec![mixed], swap());
    translation.set(node.outputs[0], OnnxValue { name, element, form: ValueForm::Rows, columns: None });
    Ok(())
}
