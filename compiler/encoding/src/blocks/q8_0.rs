//! Q8_0: 32 weights in 34 bytes, 8.5 bits per weight.
//!
//! One f16 scale `d` and 32 signed bytes: `w ~= d * q`, with `d = max |w| / 127`. Importance has no effect.
//!
//! Source: `block_q8_0` of ggml-common.h. Bytes are compared with ggml's in `tests/golden.rs`.

use mc_tensor::convert::{f16_to_f32, f32_to_f16};

use crate::codec::{Codec, Importance, Vector};
use crate::lanes::Simd;
use crate::lanes::blocks::{self, DecodeBlock};
use crate::rounding::truncate;
use crate::search::extremes::EncodeScaled;

const LEN: usize = 32;
const BYTES: usize = 2 + LEN;

/// The codec.
pub static CODEC: Codec = Codec {
    name: "Q8_0",
    version: 1,
    block_len: LEN,
    block_bytes: BYTES,
    fallback: None,
    importance: Importance::Ignored,
    encode_row,
    decode_row,
    vector: Vector {
        encode: Some(blocks::encode::<Block, LEN, BYTES>),
        decode: Some(blocks::decode::<Block, LEN, BYTES>),
    },
};

fn encode_row(row: &[f32], _importance: Option<&[f32]>, out: &mut [u8]) {
    for (x, block) in row.as_chunks::<LEN>().0.iter().zip(out.as_chunks_mut::<BYTES>().0) {
        let abs_max = x.iter().fold(0.0_f32, |max, value| max.max(value.abs()));
        let d = abs_max / 127.0;
        let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
        block[..2].copy_from_slice(&f32_to_f16(d).to_le_bytes());
        for (byte, value) in block[2..].iter_mut().zip(x) {
            // Half away from zero, like C's `roundf`.
            *byte = truncate((value * inverse).round()) as u8;
        }
    }
}

/// [`encode_row`] and [`decode_row`] in lanes.
struct Block;

impl EncodeScaled<LEN, BYTES> for Block {
    const DIVISOR: f32 = 127.0;

    #[inline(always)]
    fn encode_block<S: Simd>(x: &[f32; LEN], inverse: S::F, half: [u8; 2], block: &mut [u8; BYTES]) {
        let (head, bytes) = block.split_at_mut(2);
        head.copy_from_slice(&half);
        for first in (0..LEN).step_by(S::N) {
            let codes = S::round_away(S::load(&x[first..]) * inverse);
            S::store_bytes(codes, &mut bytes[first..]);
        }
    }
}

fn decode_row(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<BYTES>().0.iter().zip(out.as_chunks_mut::<LEN>().0) {
        let d = f16_to_f32(u16::from_le_bytes([block[0], block[1]]));
        for (value, byte) in out.iter_mut().zip(&block[2..]) {
            *value = f32::from(*byte as i8) * d;
        }
    }
}

impl DecodeBlock<LEN, BYTES> for Block {
    #[inline(always)]
    fn decode<S: Simd>(block: &[u8; BYTES], out: &mut [f32; LEN]) {
        let d = S::splat(f16_to_f32(u16::from_le_bytes([block[0], block[1]])));
        let sign = S::splat_i(128);
        for first in (0..LEN).step_by(S::N) {
            // Bytes are loaded without their sign.
            let codes = (S::load_bytes(&block[2 + first..]) ^ sign) - sign;
            S::store(S::to_f(codes) * d, &mut out[first..]);
        }
    }
}
