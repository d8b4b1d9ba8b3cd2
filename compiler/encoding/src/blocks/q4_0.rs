//! Q4_0: 32 weights in 18 bytes, 4.5 bits per weight.
//!
//! One scale `d` and 4-bit codes: `w ~= d * (q - 8)`; see [`crate::layouts::scale_alone`].
//!
//! Source: `block_q4_0` of ggml-common.h. Bytes are compared with ggml's in `tests/golden.rs`.

use crate::codec::{Codec, Importance, Vector};
use crate::lanes::blocks;
use crate::layouts::four_or_five_bits::LEN;
use crate::layouts::scale_alone;
use crate::search::weighted_blocks;

const BYTES: usize = 18;

type Block = scale_alone::Block<4, BYTES>;

/// The codec.
pub static CODEC: Codec = Codec {
    name: "Q4_0",
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
