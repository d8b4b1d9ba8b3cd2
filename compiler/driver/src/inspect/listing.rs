//! The contents of a file: facts, keys, tensors, and the places of their bytes.

use serde_json::{Value, json};

use crate::inspect::fidelity::Fidelity;

/// The contents of one file.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The format of the file.
    pub format: &'static str,
    /// Length of the whole file.
    pub n_bytes: u64,
    /// A few facts that stand before all.
    pub facts: Vec<(&'static str, String)>,
    /// Named values, in the order of the file.
    pub keys: Vec<Key>,
    /// Tensors, in the order of the file.
    pub tensors: Vec<Tensor>,
    /// Bytes before the first tensor.
    pub header_bytes: u64,
}

/// A named value.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its name.
    pub name: String,
    /// The name of its type.
    pub kind: String,
    /// Its value; long arrays are cut down already.
    pub value: Value,
}

/// One tensor.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// The name of its type.
    pub kind: &'static str,
    /// Its dimensions, as the file writes them.
    pub shape: Vec<u64>,
    /// The place of its bytes in the file.
    pub offset: u64,
    /// Their number.
    pub n_bytes: u64,
    /// The distance of its numbers to their source, if it is known.
    pub fidelity: Option<Fidelity>,
}

impl Listing {
    /// Bytes of all tensors.
    pub fn tensor_bytes(&self) -> u64 {
        self.tensors.iter().map(|tensor| tensor.n_bytes).sum()
    }

    /// Bytes of neither header nor tensors; readers refuse files whose tensors do not fit, so this is not negative.
    pub fn padding_bytes(&self) -> u64 {
        self.n_bytes.saturating_sub(self.header_bytes).saturating_sub(self.tensor_bytes())
    }
}

/// A long array as its type, its length and its first elements.
pub fn cut_array(kind: &str, first: Vec<Value>, len: usize) -> Value {
    if first.len() == len {
        return Value::Array(first);
    }
    json!({ "type": kind, "length": len, "first": first })
}
