//! Operators that only rearrange.

use mc_exporter::refusal::Refusal;
use mc_graph::graph::Node;
use mc_graph::operators::slice::Slice;

use crate::onnx_value::Columns;
use crate::translation::Translation;

/// `reshape`: heads are made of rows where an operator needs them.
pub(super) fn reshape(translation: &mut Translation<'_>, node: &Node) -> Result<(), Refusal> {
    let [input, output] = [node.inputs[0], node.outputs[0]];
    let product = |id| translation.widths(id).iter().map(|width| u64::from(*width)).product::<u64>();
    if translation.widths(output).len() > 2 || product(input) != product(output) {
        return Err(Refusal::new("ONNX Runtime GenAI can only split rows into heads and join them again"));
    }
    let rows = translation.rows(input)?;
    translation.set(output, rows);
    Ok(())
}

/// `slice`: a range of columns.
pub(super) fn slice(translation: &mut Translation<'_>, node: &Node) -> Result<(), Refusal> {
    let Some(Slice { start, len }) = node.operator.get::<Slice>() else { unreachable!("the row of `slice`") };
    if translation.widths(node.inputs[0]).len() != 1 {
        return Err(Refusal::new("ONNX Runtime GenAI can only take columns of rows"));
    }
    let width = translation.widths(node.inputs[0])[0];
    let mut rows = translation.rows(node.inputs[0])?;
    let [first, end, axis] = [i64::from(*start), i64::from(*start) + i64::from(*len), -1]
        .map(|value| translation.integers(&[value]));
    let columns = Columns { of: rows.name.clone(), start: *start, len: *len, width };
    rows.name = translation.emit("Slice", "", vec![rows.name, first, end, axis], Vec::new());
    rows.columns = Some(columns);
    translation.set(node.outputs[0], rows);
    Ok(())
}
