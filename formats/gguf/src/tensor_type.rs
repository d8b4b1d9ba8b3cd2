//! The tensor types of GGUF: number, name, block length and block bytes.
//!
//! Includes types without a codec that are in use, so that any file can be listed even if its numbers cannot be read.

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

/// The types of codecs: their numbers in a file, and the codecs' names. Source: `ggml_type` of ggml.h.
const OF_CODECS: [(u32, &str); 28] = [
    (0, "F32"),
    (1, "F16"),
    (2, "Q4_0"),
    (3, "Q4_1"),
    (6, "Q5_0"),
    (7, "Q5_1"),
    (8, "Q8_0"),
    (10, "Q2_K"),
    (11, "Q3_K"),
    (12, "Q4_K"),
    (13, "Q5_K"),
    (14, "Q6_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (20, "IQ4_NL"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (23, "IQ4_XS"),
    (29, "IQ1_M"),
    (30, "BF16"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (39, "MXFP4"),
    (40, "NVFP4"),
    (41, "Q1_0"),
    (42, "Q2_0"),
];

/// Types in use that no codec reads. Source: `type_traits` of ggml.c.
const OTHERS: [TensorType; 7] = [
    row(9, "Q8_1", 32, 36),
    row(15, "Q8_K", 256, 292),
    row(24, "I8", 1, 1),
    row(25, "I16", 1, 2),
    row(26, "I32", 1, 4),
    row(27, "I64", 1, 8),
    row(28, "F64", 1, 8),
];

/// The type with this number.
pub fn by_wire_id(wire_id: u32) -> Option<TensorType> {
    let of_codec = OF_CODECS.iter().find(|(known, _)| *known == wire_id);
    of_codec
        .and_then(|(_, name)| by_name(name))
        .or_else(|| OTHERS.into_iter().find(|kind| kind.wire_id == wire_id))
}

/// The type with this name.
pub fn by_name(name: &str) -> Option<TensorType> {
    codecs::by_name(name)
        .and_then(TensorType::of)
        .or_else(|| OTHERS.into_iter().find(|kind| kind.name == name))
}

impl TensorType {
    /// The type that a codec writes; `None` if GGUF has none.
    pub fn of(codec: &Codec) -> Option<Self> {
        let (wire_id, _) = OF_CODECS.iter().find(|(_, name)| *name == codec.name)?;
        Some(row(*wire_id, codec.name, codec.block_len as u64, codec.block_bytes as u64))
    }

    /// The codec of the type, if there is one.
    pub fn codec(self) -> Option<&'static Codec> {
        codecs::by_name(self.name)
    }

    /// Size in bytes of a tensor with these dimensions, fastest first. `None` if a row is not a whole number of blocks,
    /// or if a product of dimensions overflows; zeros do not hide an overflow, because some callers use only the rows.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_codec_has_a_number_of_its_own() {
        assert!(OF_CODECS.is_sorted_by(|a, b| a.0 < b.0));
        for codec in codecs::CODECS {
            let kind = TensorType::of(codec).unwrap();
            assert_eq!((by_wire_id(kind.wire_id), by_name(codec.name)), (Some(kind), Some(kind)));
            assert_eq!(kind.codec(), Some(*codec));
        }
        for kind in OTHERS {
            assert!(OF_CODECS.iter().all(|(wire_id, _)| *wire_id != kind.wire_id));
        }
    }
}
