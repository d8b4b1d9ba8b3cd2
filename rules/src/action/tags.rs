//! `tags`: what a target keeps its steps from, in the words of Bazel's users.
//!
//! A step that several targets make is kept from whatever one of them keeps it from, because a result that must not
//! leave this machine must not leave it for the sake of another target; see [`mc_ir::graph`].

use mc_ir::attribute::{Record, Value};
use mc_ir::schema::{Arguments, NodeSchema, ValueKind};
use mc_ir::tags::Tags;

/// For every rule with steps, and for `model`.
pub(crate) static TAGS: NodeSchema = NodeSchema {
    name: "tags",
    doc: "What its steps are kept from: workers, or the team's cache.",
    arguments: Arguments::Many(ValueKind::Tag),
    properties: &[],
    children: &[],
};

/// The tags of the target with these attributes.
pub(crate) fn tags(record: &Record) -> Tags {
    let words = record.children(TAGS.name).iter().flat_map(|node| &node.arguments);
    let tags = words.filter_map(|placed| Value::as_text(&placed.value)).filter_map(Tags::named);
    tags.fold(Tags::default(), Tags::and)
}
