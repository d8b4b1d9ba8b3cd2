//! A declared target: its label, its rule and its attributes.

use crate::attribute::Record;
use crate::label::Label;

/// One node of a `package.kdl`, validated by its rule's schema, or a part that another target expanded into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name.
    pub label: Label,
    /// The rule's KDL name.
    pub rule: &'static str,
    /// Its attributes.
    pub record: Record,
    /// For a part: the target that expanded into it. The places of this target belong to the span table of that one.
    pub expanded_from: Option<Label>,
}
