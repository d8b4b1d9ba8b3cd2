//! IQ4_NL: 32 weights in 18 bytes, 4.5 bits per weight.
//!
//! One f16 scale and 4-bit codes of unevenly spaced values (see [`crate::layouts::iq4`]).
//!
//! Source: `block_iq4_nl` of ggml-common.h. Bytes are compared with ggml's in `tests/golden.rs`.

use mc_tensor::convert::f16_to_f32;

use crate::codec::{Codec, Importance, Vector};
use crate::lanes::Simd;
use crate::lanes::blocks::{self, DecodeBlock};
use crate::layouts::iq4::{self, SUB_LEN as LEN};
use crate::layouts::iq4_lanes;
use crate::rounding::f16_bits;
use crate::rows::encode_blocks;
use crate::search::super_blocks::{self, EncodeWindow, MAX_SUBS, WINDOW, Window};

const BYTES: usize = 2 + LEN / 2;

/// The codec.
pub static CODEC: Codec = Codec {
    name: "IQ4_NL",
    version: 1,
    block_len: LEN,
    block_bytes: BYTES,
    fallback: None,
    importance: Importance::Used,
    encode_row,
    decode_row,
    vector: Vector {
        encode: Some(super_blocks::encode::<Block, LEN, BYTES>),
        decode: Some(blocks::decode::<Block, LEN, BYTES>),
    },
};

fn encode_row(row: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
    encode_blocks(row, importance, out, encode_block);
}

fn encode_block(x: &[f32; LEN], importance: Option<&[f32; LEN]>, block: &mut [u8; BYTES]) {
    let scale = iq4::scale(x, importance, iq4::sigma2(x));
    block[..2].copy_from_slice(&f16_bits(scale).to_le_bytes());
    iq4::write_codes(x, iq4::inverse(scale), &mut block[2..]);
}

/// [`encode_row`] and [`decode_row`] in lanes.
struct Block;

impl EncodeWindow<LEN, BYTES> for Block {
    #[inline(always)]
    fn encode<S: Simd>(window: &Window<'_>, blocks: &mut [[u8; BYTES]]) {
        let mut scales = [0.0; WINDOW * MAX_SUBS];
        iq4_lanes::scales::<S>(window, None, &mut scales);
        for ((x, block), scale) in window.x.as_chunks::<LEN>().0.iter().zip(blocks).zip(scales) {
            block[..2].copy_from_slice(&f16_bits(scale).to_le_bytes());
            iq4_lanes::write_codes::<S>(x, iq4::inverse(scale), &mut block[2..]);
        }
    }
}

fn decode_row(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<BYTES>().0.iter().zip(out.as_chunks_mut::<LEN>().0) {
        let scale = f16_to_f32(u16::from_le_bytes([block[0], block[1]]));
        iq4::read_codes(&block[2..], scale, out);
    }
}

impl DecodeBlock<LEN, BYTES> for Block {
    #[inline(always)]
    fn decode<S: Simd>(block: &[u8; BYTES], out: &mut [f32; LEN]) {
        let scale = f16_to_f32(u16::from_le_bytes([block[0], block[1]]));
        iq4::decode::<S>(&block[2..], scale, out);
    }
}
