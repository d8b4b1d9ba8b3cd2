//! `group`: several targets under one name, such as one model in every format.
//!
//! A group has no actions and no outputs: a command that names it gets its members, each with its own outputs, gates
//! and result.

use mc_ir::label::Label;
use mc_ir::provider::Providers;
use mc_ir::rule::{Rule, RuleContext};
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Arguments, ChildSchema, NodeSchema, Occurs, ValueKind};

/// The rule's name.
pub const NAME: &str = "group";

/// The `group` rule.
pub struct Group;

/// Provider of a group, read by commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupInfo {
    /// The members in the order of the declaration; a member may be a group.
    pub members: Vec<Label>,
}

/// The members.
pub(crate) static TARGETS: NodeSchema = NodeSchema {
    name: "targets",
    doc: "The members.",
    arguments: Arguments::Many(ValueKind::Label),
    properties: &[],
    children: &[],
};

static SCHEMA: NodeSchema = NodeSchema {
    name: NAME,
    doc: "Several targets under one name.",
    arguments: Arguments::None,
    properties: &[],
    children: &[ChildSchema { node: &TARGETS, occurs: Occurs::Any }],
};

impl Rule for Group {
    fn schema(&self) -> &'static NodeSchema {
        &SCHEMA
    }

    fn analyze(&self, ctx: &dyn RuleContext) -> Result<Providers, Vec<RuleError>> {
        let record = ctx.record();
        let placed = record.children(TARGETS.name).iter().flat_map(|node| &node.arguments);
        let members: Vec<Label> = placed.filter_map(|label| label.value.as_label().cloned()).collect();
        if members.is_empty() {
            let message = "The group has no members";
            return Err(vec![
                RuleError::new(record.place, "group::empty", message)
                    .help("Add `targets \":one\" \":other\"`"),
            ]);
        }
        // A member with errors reports them itself.
        if members.iter().any(|member| ctx.providers(member).is_err()) {
            return Err(Vec::new());
        }
        Ok(Providers::default().with(GroupInfo { members }))
    }
}
