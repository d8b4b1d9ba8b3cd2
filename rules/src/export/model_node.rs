//! The nodes that name a model: the one that a format writes, and the exported one of gates and bundles.

use mc_ir::schema::{NodeSchema, ValueKind};

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

/// The exported model of a gate or a bundle. It is named after the first format, but accepts a target of any format.
pub(crate) static MODEL: NodeSchema =
    NodeSchema::leaf("gguf", "The model: a `gguf` target.", ValueKind::Label);

/// The expected kind of target, for messages.
pub(crate) const MODEL_EXPECTED: &str = "a `gguf` target";
