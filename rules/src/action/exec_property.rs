//! `exec-property`: a requirement, such as a graphics card, on the workers that run a target's actions.
//!
//! It affects where an action runs but not its output, so it is not part of any key: if two targets share an
//! action, it runs once, with the requirements of the first.

use mc_ir::attribute::Record;
use mc_ir::schema::{Arguments, NodeSchema, ValueKind};

/// A name and a value; allowed in `model` and in every rule whose actions workers can run.
pub(crate) static EXEC_PROPERTY: NodeSchema = NodeSchema {
    name: "exec-property",
    doc: "Requirement on the workers that run the target's actions: a name and a value, as the server defines them.",
    arguments: Arguments::Two(ValueKind::Text, ValueKind::Text),
    properties: &[],
    children: &[],
};

/// Returns the requirements that the target with these attributes puts on workers.
pub(crate) fn exec_properties(record: &Record) -> Vec<(String, String)> {
    let text = |node: &Record, index: usize| {
        node.arguments.get(index).and_then(|placed| placed.value.as_text()).map(str::to_owned)
    };
    let nodes = record.children(EXEC_PROPERTY.name).iter();
    nodes.filter_map(|node| text(node, 0).zip(text(node, 1))).collect()
}
