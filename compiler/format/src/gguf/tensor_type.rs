//! The tensor types of GGUF: number, name, block length and block bytes.
//!
//! All that are in use, so that any file can be listed, also where no codec can read the numbers.

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

/// Every type, by number. Source: `type_traits` of ggml.c.
pub const TENSOR_TYPES: [TensorType; 35] = [
    row(0, "F32", 1, 4),
    row(1, "F16", 1, 2),
    row(2, "Q4_0", 32, 18),
    row(3, "Q4_1", 32, 20),
    row(6, "Q5_0", 32, 22),
    row(7, "Q5_1", 32, 24),
    row(8, "Q8_0", 32, 34),
    row(9, "Q8_1", 32, 36),
    row(10, "Q2_K", 256, 84),
    row(11, "Q3_K", 256, 110),
    row(12, "Q4_K", 256, 144),
    row(13, "Q5_K", 256, 176),
    row(14, "Q6_K", 256, 210),
    row(15, "Q8_K", 256, 292),
    row(16, "IQ2_XXS", 256, 66),
    row(17, "IQ2_XS", 256, 74),
    row(18, "IQ3_XXS", 256, 98),
    row(19, "IQ1_S", 256, 50),
    row(20, "IQ4_NL", 32, 18),
    row(21, "IQ3_S", 256, 110),
    row(22, "IQ2_S", 256, 82),
    row(23, "IQ4_XS", 256, 136),
    row(24, "I8", 1, 1),
    row(25, "I16", 1, 2),
    row(26, "I32", 1, 4),
    row(27, "I64", 1, 8),
    row(28, "F64", 1, 8),
    row(29, "IQ1_M", 256, 56),
    row(30, "BF16", 1, 2),
    row(34, "TQ1_0", 256, 54),
    row(35, "TQ2_0", 256, 66),
    row(39, "MXFP4", 32, 17),
    row(40, "NVFP4", 64, 36),
    // Row lengths of the reference's arrays of 1024 columns: 144 and 288 bytes, in blocks of 128 and 64.
    row(41, "Q1_0", 128, 18),
    row(42, "Q2_0", 64, 18),
];

/// The type of a number.
pub fn by_wire_id(wire_id: u32) -> Option<TensorType> {
    TENSOR_TYPES.into_iter().find(|kind| kind.wire_id == wire_id)
}

/// The type of a name.
pub fn by_name(name: &str) -> Option<TensorType> {
    TENSOR_TYPES.into_iter().find(|kind| kind.name == name)
}

impl TensorType {
    /// Bytes of a tensor with these dimensions, fastest first; `None` if its rows are no whole number of blocks or
    /// the product overflows.
    pub fn n_bytes(self, dims: &[u64]) -> Option<u64> {
        let n_cols = dims.first().copied().unwrap_or(1);
        if !n_cols.is_multiple_of(self.block_len) {
            return None;
        }
        let n_elements = dims.iter().try_fold(1_u64, |product, n| product.checked_mul(*n))?;
        (n_elements / self.block_len).checked_mul(self.block_bytes)
    }
}
