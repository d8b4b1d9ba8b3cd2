//! A file that an exporter writes, as a list of parts.

use crate::plane::Part;

/// A file of an exported model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenFile {
    /// Its path in the folder of the model: `model.safetensors`.
    pub name: String,
    /// Its parts, in order.
    pub parts: Vec<Part>,
}
