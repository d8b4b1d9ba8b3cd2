//! The contents of a file: facts, keys, tensors, and the places of their bytes.

use serde_json::{Value, json};

/// The format of a GGUF file with statistics instead of weights.
pub const IMPORTANCE_MATRIX: &str = "GGUF (importance matrix)";

/// The contents of one file.
#[derive(Clone, Debug, Default, PartialEq)]
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
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// Its name.
    pub name: String,
    /// The name of its type.
    pub kind: String,
    /// Its value as it is shown; long arrays are cut down already.
    pub value: Value,
    /// The bytes of a value that is not shown whole, so that it can be compared.
    pub whole: Option<Vec<u8>>,
}

/// One tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// The name of its type.
    pub kind: &'static str,
    /// Its dimensions, as the file writes them.
    pub shape: Vec<u64>,
    /// Tells whether the file writes the fastest dimension first.
    pub is_fastest_first: bool,
    /// The place of its bytes in the file.
    pub offset: u64,
    /// Their number.
    pub n_bytes: u64,
}

/// A long array as its type, its length and its first elements.
pub fn cut_array(kind: &str, first: Vec<Value>, len: usize) -> Value {
    if first.len() == len {
        return Value::Array(first);
    }
    json!({ "type": kind, "length": len, "first": first })
}
