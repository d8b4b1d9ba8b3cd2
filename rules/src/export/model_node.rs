//! The nodes that name a model: the one that a format writes, and the exported one of gates and bundles.

use mc_ir::attribute::{Placed, Record};
use mc_ir::label::Label;
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{NodeSchema, ValueKind};

use crate::attributes::label;
use crate::transform::requantize::REQUANTIZE;

/// The model that a format writes.
pub(crate) static WRITTEN_MODEL: NodeSchema = NodeSchema {
    properties: &[REQUANTIZE],
    ..NodeSchema::leaf("model", "The checkpoint, merge or blend to write.", ValueKind::Label)
};

/// The model's name; for the rules of formats and for `model`.
pub(crate) static MODEL_NAME: NodeSchema = NodeSchema::leaf(
    "model-name",
    "The model's name in its files; by default that of its checkpoint, or of the target that changed its weights.",
    ValueKind::Text,
);

/// The exported model of a gate or a bundle.
pub(crate) static MODEL: NodeSchema =
    NodeSchema::leaf("model", "The model: a target of a format, such as `gguf` or `mlx`.", ValueKind::Label);

/// The name of [`MODEL`] in declarations that are older than the second format.
pub(crate) static OLD_MODEL: NodeSchema =
    NodeSchema::leaf("gguf", "An older name of `model`.", ValueKind::Label);

/// The expected kind of target, for messages.
pub(crate) const MODEL_EXPECTED: &str = "an exported model, such as a `gguf` or `mlx` target";

/// Returns the name of the exported model of a gate or a bundle.
///
/// # Errors
/// If there is none, or if it is named twice.
pub(crate) fn exported_model(record: &Record) -> Result<Placed<Label>, Vec<RuleError>> {
    match (label(record, MODEL.name), label(record, OLD_MODEL.name)) {
        (Some(model), None) | (None, Some(model)) => Ok(model),
        (None, None) => {
            let message = "The model is missing: found no `model`";
            let help = "Add `model \":target\"`, with a target of a format such as `gguf`";
            Err(vec![RuleError::new(record.place, "rule::model", message).help(help)])
        }
        (Some(_), Some(old)) => {
            let message = "The model is named twice: `gguf` is an older name of `model`";
            Err(vec![RuleError::new(old.place, "rule::model", message).help("Leave out `gguf`")])
        }
    }
}
