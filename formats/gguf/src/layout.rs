//! Lays out a GGUF file: its head and the position of each tensor.
//!
//! The file is the head, then each tensor's bytes, padded with zeros to the alignment. The head only depends on sizes,
//! so tensors may be written later, in any order, and are never copied for packing.

use crate::tensor_type::TensorType;
use crate::value::{Value, write_text};

/// Alignment of tensors in files that we write, in bytes.
pub const ALIGNMENT: u64 = 32;

/// A tensor of a planned file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorPlan {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: TensorType,
    /// Its dimensions, fastest first; a row is a whole number of blocks.
    pub dims: Vec<u64>,
}

/// A file without the bytes of its tensors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Everything before the first tensor, padding included.
    pub head: Vec<u8>,
    /// The segment of each tensor, in order.
    pub tensors: Vec<Segment>,
}

/// The bytes of one tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Bytes of the tensor.
    pub n_bytes: u64,
    /// Zeros after it.
    pub padding: u64,
}

impl Layout {
    /// Lays out a file with these keys and tensors, in this order.
    ///
    /// # Panics
    /// If a row of a tensor is not a whole number of blocks: recipes resolve types by shape first.
    pub fn new(keys: &[(String, Value)], tensors: &[TensorPlan], alignment: u64) -> Self {
        let mut head = b"GGUF".to_vec();
        head.extend(3_u32.to_le_bytes());
        head.extend((tensors.len() as u64).to_le_bytes());
        head.extend((keys.len() as u64).to_le_bytes());
        for (name, value) in keys {
            write_text(name, &mut head);
            head.extend(value.type_id().to_le_bytes());
            value.write(&mut head);
        }
        let mut offset = 0_u64;
        let mut stretches = Vec::with_capacity(tensors.len());
        for tensor in tensors {
            write_text(&tensor.name, &mut head);
            head.extend((tensor.dims.len() as u32).to_le_bytes());
            for dim in &tensor.dims {
                head.extend(dim.to_le_bytes());
            }
            head.extend(tensor.kind.wire_id.to_le_bytes());
            head.extend(offset.to_le_bytes());
            let n_bytes = tensor.kind.n_bytes(&tensor.dims).expect("rows are whole numbers of blocks");
            let padding = n_bytes.next_multiple_of(alignment) - n_bytes;
            stretches.push(Segment { n_bytes, padding });
            offset += n_bytes + padding;
        }
        head.resize(head.len().next_multiple_of(alignment as usize), 0);
        Self { head, tensors: stretches }
    }
}
