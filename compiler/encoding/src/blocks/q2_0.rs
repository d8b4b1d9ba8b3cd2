//! Q2_0: 64 weights in 18 bytes, 2.25 bits per weight.
//!
//! One f16 scale `d` and two bits per weight, lowest bits first: `w ~= d * (q - 1)`. With `d = max |w|` only codes 0, 1
//! and 2 are written; 3 would mean `2 d`. Importance has no effect.
//!
//! Source: `block_q2_0` of ggml-common.h. Bytes are compared with ggml's in `tests/golden.rs`.

use mc_tensor::convert::{f16_to_f32, f32_to_f16};

use crate::blocks::q4_0;
use crate::codec::{Codec, Importance, Vector};
use crate::lanes::Simd;
use crate::lanes::blocks::{self, DecodeBlock};
use crate::rounding::truncate;
use crate::search::extremes::{EncodeScaled, ternary_codes};

const LEN: usize = 64;
const BYTES: usize = 2 + LEN / 4;

/// Bit offsets of the codes in a u32.
const SHIFTS: [i32; 16] = [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30];

/// The codec.
pub static CODEC: Codec = Codec {
    name: "Q2_0",
    version: 1,
    block_len: LEN,
    block_bytes: BYTES,
    fallback: Some(&q4_0::CODEC),
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
        let d = x.iter().fold(0.0_f32, |max, value| max.max(value.abs()));
        let inverse = if d > 0.0 { 1.0 / d } else { 0.0 };
        block[..2].copy_from_slice(&f32_to_f16(d).to_le_bytes());
        for (byte, x) in block[2..].iter_mut().zip(x.as_chunks::<4>().0) {
            // Half away from zero, like C's `roundf`. The result of an infinite inverse becomes code 0.
            let code = |value: f32| (truncate((value * inverse).round()) + 1).clamp(0, 3) as u8;
            *byte = x.iter().rev().fold(0, |bits, value| bits << 2 | code(*value));
        }
    }
}

/// [`encode_row`] and [`decode_row`] in lanes.
struct Block;

impl EncodeScaled<LEN, BYTES> for Block {
    const DIVISOR: f32 = 1.0;

    #[inline(always)]
    fn encode_block<S: Simd>(x: &[f32; LEN], inverse: S::F, half: [u8; 2], block: &mut [u8; BYTES]) {
        let (head, bytes) = block.split_at_mut(2);
        head.copy_from_slice(&half);
        let mut codes = [0; LEN];
        for first in (0..LEN).step_by(S::N) {
            // Codes are 0, 1 and 2, or the result of an infinite inverse, which becomes 0.
            let code = S::max_i(ternary_codes::<S>(&x[first..], inverse), S::splat_i(0));
            S::store_bytes(code, &mut codes[first..]);
        }
        for (byte, codes) in bytes.iter_mut().zip(codes.as_chunks::<4>().0) {
            let word = u32::from_le_bytes(*codes);
            *byte = (word | word >> 6 | word >> 12 | word >> 18) as u8;
        }
    }
}

fn decode_row(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<BYTES>().0.iter().zip(out.as_chunks_mut::<LEN>().0) {
        let d = f16_to_f32(u16::from_le_bytes([block[0], block[1]]));
        for (i, value) in out.iter_mut().enumerate() {
            let code = block[2 + i / 4] >> (2 * (i % 4)) & 3;
            *value = (f32::from(code) - 1.0) * d;
        }
    }
}

impl DecodeBlock<LEN, BYTES> for Block {
    #[inline(always)]
    fn decode<S: Simd>(block: &[u8; BYTES], out: &mut [f32; LEN]) {
        let d = S::splat(f16_to_f32(u16::from_le_bytes([block[0], block[1]])));
        let words = block[2..].as_chunks::<4>().0;
        for (word, out) in words.iter().zip(out.as_chunks_mut::<16>().0) {
            let word = u32::from_le_bytes(*word);
            for first in (0..16).step_by(S::N) {
                let codes = S::splat_i((word >> (2 * first)).cast_signed());
                let codes = S::shr_each(codes, S::load_i(&SHIFTS)) & S::splat_i(3);
                S::store(S::to_f(codes - S::splat_i(1)) * d, &mut out[first..]);
            }
        }
    }
}
