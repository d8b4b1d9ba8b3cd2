//! A declared target: its label, its rule and its attributes.

use crate::attribute::Record;
use crate::label::Label;

/// One node of a `package.kdl`, accepted by its rule's schema, or made by a rule that expands into others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name.
    pub label: Label,
    /// The rule's KDL name.
    pub rule: &'static str,
    /// Its attributes.
    pub record: Record,
    /// For a target that another one expanded into: that one, whose span table its places belong to.
    pub expanded_from: Option<Label>,
}
