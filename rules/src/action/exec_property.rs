//! `exec-property`: what a worker must have that does a step of a target, such as a graphics card.
//!
//! It changes where a step is done and no byte, so it is in no key: two targets that share a step have it done once,
//! where the first of them wants it.

use mc_ir::attribute::Record;
use mc_ir::schema::{Arguments, NodeSchema, ValueKind};

/// A name and a value; for every rule with steps that workers can do, and for `model`.
pub(crate) static EXEC_PROPERTY: NodeSchema = NodeSchema {
    name: "exec-property",
    doc: "What a worker must have that does its steps: a name and a value, as the server knows them.",
    arguments: Arguments::Two(ValueKind::Text, ValueKind::Text),
    properties: &[],
    children: &[],
};

/// What the target with these attributes wants of a worker.
pub(crate) fn exec_properties(record: &Record) -> Vec<(String, String)> {
    let text = |node: &Record, index: usize| {
        node.arguments.get(index).and_then(|placed| placed.value.as_text()).map(str::to_owned)
    };
    let nodes = record.children(EXEC_PROPERTY.name).iter();
    nodes.filter_map(|node| text(node, 0).zip(text(node, 1))).collect()
}
