//! Q5_1: 32 weights in 24 bytes, 6 bits per weight.
//!
//! A scale `d`, a minimum `m` and 5-bit codes: `w ~= d * q + m`; see [`crate::layouts::scale_and_min`].
//!
//! Source: `block_q5_1` of ggml-common.h. Bytes are compared with ggml's in `tests/golden.rs`.

use crate::codec::{Codec, Importance, Vector};
use crate::lanes::blocks;
use crate::layouts::four_or_five_bits::LEN;
use crate::layouts::scale_and_min;
use crate::search::weighted_blocks;

const BYTES: usize = 24;

type Block = scale_and_min::Block<5, BYTES>;

/// The codec.
pub static CODEC: Codec = Codec {
    name: "Q5_1",
    version: 1,
    block_len: LEN,
    block_bytes: BYTES,
    fallback: None,
    importance: Importance::Used,
    encode_row: weighted_blocks::encode_row::<Block, BYTES>,
    decode_row: Block::decode_row,
    vector: Vector {
        encode: Some(weighted_blocks::encode::<Block, BYTES>),
        decode: Some(blocks::decode::<Block, LEN, BYTES>),
    },
};
