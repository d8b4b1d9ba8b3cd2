//! The node by which gates and bundles name the model that was written.

use mc_ir::schema::{NodeSchema, ValueKind};

/// The node. Its word is that of the first format; it takes the target of any.
pub(crate) static MODEL: NodeSchema =
    NodeSchema::leaf("gguf", "The model: a `gguf` target.", ValueKind::Label);

/// The thing that it must name, for messages.
pub(crate) const MODEL_EXPECTED: &str = "a `gguf` target";
