//! The node by which gates and bundles name an exported model.

use mc_ir::schema::{NodeSchema, ValueKind};

/// The node. It is named after the first format, but accepts a target of any format.
pub(crate) static MODEL: NodeSchema =
    NodeSchema::leaf("gguf", "The model: a `gguf` target.", ValueKind::Label);

/// The expected kind of target, for messages.
pub(crate) const MODEL_EXPECTED: &str = "a `gguf` target";
