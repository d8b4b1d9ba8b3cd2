//! Weights that were quantized before: quantizing them again loses quality twice, so it must be permitted
//! explicitly.

use mc_ir::attribute::{Placed, Record};
use mc_ir::label::Label;
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Presence, PropertySchema, ValueKind};

use crate::attributes::bool_property;
use crate::source::model_info::ModelInfo;

/// Permits a rule to use quantized weights.
pub(crate) const REQUANTIZE: PropertySchema = PropertySchema {
    name: "requantize",
    value: ValueKind::Bool,
    presence: Presence::Optional,
    doc: "`#true` permits weights that were quantized before; quantizing them again loses quality twice.",
};

/// Checks that a rule may use a model.
///
/// * `node`: the node that names it, and may give permission
///
/// # Errors
/// An error if its weights were quantized before and permission is missing.
pub(crate) fn check_quantized(
    node: Option<&Record>,
    label: &Placed<Label>,
    model: &ModelInfo,
) -> Result<(), Vec<RuleError>> {
    let is_reported = node.is_some_and(|node| bool_property(node, REQUANTIZE.name));
    if is_reported || !model.is_quantized {
        return Ok(());
    }
    let message = format!(
        "The weights of `{}` were quantized before; quantizing them again loses quality twice",
        label.value
    );
    Err(vec![
        RuleError::new(label.place, "model::quantized", message)
            .help("Name a checkpoint with 16-bit weights, or write `requantize=#true`"),
    ])
}
