//! MXFP4: 32 weights in 17 bytes, 4.25 bits per weight.
//!
//! One byte with the exponent of the scale, `2^(e - 127)`, and 32 codes (see [`crate::layouts::fp4`]). The exponent is
//! that of the largest magnitude minus 2, the exponent of the largest code. Importance has no effect.
//!
//! Source: `block_mxfp4` of ggml-common.h; OCP Microscaling Formats specification 1.0. Bytes are compared with ggml's
//! in `tests/golden.rs`.

use crate::codec::{Codec, Importance, Vector};
use crate::lanes::Simd;
use crate::lanes::blocks::{self, DecodeBlock, EncodeBlocks};
use crate::layouts::fp4;
use crate::search::extremes::magnitudes;

const LEN: usize = 32;
const BYTES: usize = 1 + LEN / 2;

/// The codec.
pub static CODEC: Codec = Codec {
    name: "MXFP4",
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
        let exponent = exponent_byte(abs_max);
        let [first, codes @ ..] = block;
        *first = exponent;
        fp4::encode(x, half_scale(exponent), codes);
    }
}

/// [`encode_row`] and [`decode_row`] in lanes.
struct Block;

impl EncodeBlocks<LEN, BYTES> for Block {
    #[inline(always)]
    fn encode<S: Simd>(x: &[[f32; LEN]], blocks: &mut [[u8; BYTES]]) {
        let magnitudes = magnitudes::<S, LEN>(x);
        for ((x, block), magnitude) in x.iter().zip(blocks).zip(magnitudes) {
            let [first, codes @ ..] = block;
            *first = exponent_byte(magnitude);
            let half_scale = half_scale(*first);
            if fp4::is_exact(magnitude, half_scale) {
                for first in (0..LEN / 2).step_by(S::N) {
                    let lower = fp4::codes::<S>(&x[first..], half_scale);
                    let upper = fp4::codes::<S>(&x[first + LEN / 2..], half_scale);
                    S::store_bytes(lower | S::shl::<4>(upper), &mut codes[first..]);
                }
            } else {
                fp4::encode(x, half_scale, codes);
            }
        }
    }
}

/// The exponent byte of a block's scale, from its largest magnitude.
#[inline(always)]
fn exponent_byte(magnitude: f32) -> u8 {
    // Exponents below 0, which belong to subnormals, keep their lower byte, like the reference's cast on x86-64.
    if magnitude > 0.0 { (floor_log2(magnitude) - 2 + 127) as u8 } else { 0 }
}

fn decode_row(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<BYTES>().0.iter().zip(out.as_chunks_mut::<LEN>().0) {
        let [exponent, codes @ ..] = block;
        fp4::decode(codes, half_scale(*exponent), out);
    }
}

/// `2^(exponent - 128)`, subnormal for exponents 0 and 1.
fn half_scale(exponent: u8) -> f32 {
    f32::from_bits(if exponent < 2 { 0x0020_0000 << exponent } else { (u32::from(exponent) - 1) << 23 })
}

/// The floor of the base-two logarithm after rounding it to f32, as C's `log2f` does.
///
/// * `value`: positive and finite
///
/// The rounding matters just below a power of two, `2^n (1 - m / 2^24)` with a small `m`: the logarithm
/// `n - m / (2^24 ln 2)` becomes `n` if it is less than half a unit in the last place away, that is, if `m < 2^j ln 2`,
/// where `2^j / 2^23` is the spacing of the f32 numbers below `n`.
fn floor_log2(value: f32) -> i32 {
    let bits = value.to_bits();
    let (exponent, mantissa) = if bits < 0x0080_0000 {
        let shift = bits.leading_zeros() - 8;
        (-126 - shift as i32, bits << shift)
    } else {
        ((bits >> 23) as i32 - 127, bits & 0x007f_ffff | 0x0080_0000)
    };
    let next = exponent + 1;
    let j = match next {
        2.. => (next - 1).ilog2(),
        ..0 => next.unsigned_abs().ilog2(),
        0 | 1 => return exponent,
    };
    // 2^j ln 2, rounded down.
    let m_max = [0, 1, 2, 5, 11, 22, 44, 88][j as usize];
    if 0x0100_0000 - mantissa <= m_max { next } else { exponent }
}

impl DecodeBlock<LEN, BYTES> for Block {
    #[inline(always)]
    fn decode<S: Simd>(block: &[u8; BYTES], out: &mut [f32; LEN]) {
        let [exponent, bytes @ ..] = block;
        let half_scale = S::splat(half_scale(*exponent));
        for first in (0..LEN / 2).step_by(S::N) {
            let codes = S::load_bytes(&bytes[first..]);
            S::store(fp4::values::<S>(codes, half_scale), &mut out[first..]);
            S::store(fp4::values::<S>(S::shr::<4>(codes), half_scale), &mut out[first + LEN / 2..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_is_rounded_before_its_floor() {
        let below = |power: i32, steps: u32| f32::from_bits((((power + 127) as u32) << 23) - steps);
        let cases = [
            (1.0, 0),
            (below(0, 1), -1),
            (below(1, 1), 0),
            (below(2, 1), 1),
            (below(3, 1), 3),
            (below(3, 2), 2),
            (below(4, 1), 4),
            (below(5, 2), 5),
            (below(5, 3), 4),
            (below(9, 5), 9),
            (below(9, 6), 8),
            (below(-1, 1), -2),
            (below(-2, 1), -2),
            (below(-2, 2), -3),
            (below(-126, 22), -126),
            (f32::MAX, 128),
            (f32::from_bits(1), -149),
            (f32::from_bits(3), -148),
            (f32::from_bits(0x003f_ffff), -127),
            (f32::from_bits(0x003f_ff00), -128),
        ];
        for (value, expected) in cases {
            assert_eq!(floor_log2(value), expected, "{value:e}");
        }
    }
}
