//! Q5_0: 32 weights in 22 bytes, 5.5 bits per weight.
//!
//! One scale `d` and 5-bit codes: `w ~= d * (q - 16)`; see [`crate::layouts::scale_alone`].
//!
//! Source: `block_q5_0` of ggml-common.h. Bytes are compared with ggml's in `tests/golden.rs`.

use crate::codec::{Codec, Importance, Vector};
use crate::lanes::blocks;
use crate::layouts::four_or_five_bits::LEN;
use crate::layouts::scale_alone;
use crate::search::weighted_blocks;

const BYTES: usize = 22;

type Block = scale_alone::Block<5, BYTES>;

/// The codec.
pub static CODEC: Codec = Codec {
    name: "Q5_0",
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
