//! F32, F16 and BF16 as codecs with blocks of one element. Importance changes nothing here.

use mc_tensor::convert::{from_f32, to_f32};
use mc_tensor::dtype::DType;

use crate::codec::{Codec, Importance, Vector};

/// 32-bit floats.
pub static F32: Codec = Codec {
    name: "F32",
    version: 1,
    wire_id: 0,
    block_len: 1,
    block_bytes: 4,
    fallback: None,
    importance: Importance::Ignored,
    encode_row: |row, _, out| from_f32(DType::F32, row, out),
    decode_row: |bytes, out| to_f32(DType::F32, bytes, out),
    vector: Vector::NONE,
};

/// 16-bit floats.
pub static F16: Codec = Codec {
    name: "F16",
    version: 1,
    wire_id: 1,
    block_len: 1,
    block_bytes: 2,
    fallback: None,
    importance: Importance::Ignored,
    encode_row: |row, _, out| from_f32(DType::F16, row, out),
    decode_row: |bytes, out| to_f32(DType::F16, bytes, out),
    vector: Vector::NONE,
};

/// The upper halves of 32-bit floats.
pub static BF16: Codec = Codec {
    name: "BF16",
    version: 1,
    wire_id: 30,
    block_len: 1,
    block_bytes: 2,
    fallback: None,
    importance: Importance::Ignored,
    encode_row: |row, _, out| from_f32(DType::BF16, row, out),
    decode_row: |bytes, out| to_f32(DType::BF16, bytes, out),
    vector: Vector::NONE,
};
