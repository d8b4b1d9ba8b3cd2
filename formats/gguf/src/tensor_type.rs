//! The tensor types of GGUF: number, name, block length and block bytes.
//!
//! Those of the codecs and all others in use, so that any file can be listed, also where no codec can read the numbers.

use mc_encoding::codec::Codec;
use mc_encoding::codecs;

/// One tensor type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorType {
    /// Its number in a file.
    pub wire_id: u32,
    /// Its name.
    pub name: &'static str,
    /// Elements of one block.
    pub block_len: u64,
    /// Bytes of one block.
    pub block_bytes: u64,
}

const fn row(wire_id: u32, name: &'static str, block_len: u64, block_bytes: u64) -> TensorType {
    TensorType { wire_id, name, block_len, block_bytes }
}

/// Types that files may have and no codec reads. Source: `type_traits` of ggml.c.
const OTHERS: [TensorType; 7] = [
    row(9, "Q8_1", 32, 36),
    row(15, "Q8_K", 256, 292),
    row(24, "I8", 1, 1),
    row(25, "I16", 1, 2),
    row(26, "I32", 1, 4),
    row(27, "I64", 1, 8),
    row(28, "F64", 1, 8),
];

/// The type of a number.
pub fn by_wire_id(wire_id: u32) -> Option<TensorType> {
    codecs::by_wire_id(wire_id)
        .map(TensorType::of)
        .or_else(|| OTHERS.into_iter().find(|kind| kind.wire_id == wire_id))
}

/// The type of a name.
pub fn by_name(name: &str) -> Option<TensorType> {
    codecs::by_name(name).map(TensorType::of).or_else(|| OTHERS.into_iter().find(|kind| kind.name == name))
}

impl TensorType {
    /// The type of what a codec writes.
    pub fn of(codec: &Codec) -> Self {
        row(codec.wire_id, codec.name, codec.block_len as u64, codec.block_bytes as u64)
    }

    /// Bytes of a tensor with these dimensions, fastest first; `None` if its rows are no whole number of blocks or
    /// the product of any of them overflows, also where another one is zero: some use only the rows.
    pub fn n_bytes(self, dims: &[u64]) -> Option<u64> {
        let n_cols = dims.first().copied().unwrap_or(1);
        if !n_cols.is_multiple_of(self.block_len) {
            return None;
        }
        let n_elements = dims.iter().try_fold(1_u64, |product, n| product.checked_mul((*n).max(1)))?;
        let n_bytes = n_elements.div_ceil(self.block_len).checked_mul(self.block_bytes)?;
        Some(if dims.contains(&0) { 0 } else { n_bytes })
    }
}
