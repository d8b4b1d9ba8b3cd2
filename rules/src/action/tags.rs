//! `tags`: places where a target's actions must not run or upload, in the terms that Bazel uses.
//!
//! If several targets share an action, the tags of all of them apply to it: a result that must not leave this
//! machine stays here even if another target would allow the upload; see [`mc_ir::graph`].

use mc_ir::attribute::{Record, Value};
use mc_ir::schema::{Arguments, NodeSchema, ValueKind};
use mc_ir::tags::Tags;

/// Allowed in `model` and in every rule with actions.
pub(crate) static TAGS: NodeSchema = NodeSchema {
    name: "tags",
    doc: "Excludes the target's actions from remote execution, or from the remote cache.",
    arguments: Arguments::Many(ValueKind::Tag),
    properties: &[],
    children: &[],
};

/// Returns the tags of the target with these attributes.
pub(crate) fn tags(record: &Record) -> Tags {
    let words = record.children(TAGS.name).iter().flat_map(|node| &node.arguments);
    let tags = words.filter_map(|placed| Value::as_text(&placed.value)).filter_map(Tags::named);
    tags.fold(Tags::default(), Tags::and)
}
