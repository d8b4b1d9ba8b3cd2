//! NVFP4: 64 weights in 36 bytes, 4.5 bits per weight.
//!
//! Four sub-blocks of 16 weights. First come four bytes with their scales, as unsigned floats with four exponent and
//! three mantissa bits (E4M3), then eight bytes of codes for each (see [`crate::layouts::fp4`]). A scale maps the
//! largest magnitude of its sub-block to the largest code, 6. Importance has no effect.
//!
//! Source: `block_nvfp4` of ggml-common.h. Bytes are compared with ggml's in `tests/golden.rs`.

use crate::codec::{Codec, Importance, Vector};
use crate::lanes::Simd;
use crate::lanes::blocks::{self, DecodeBlock, EncodeBlocks, WINDOW};
use crate::layouts::fp4;
use crate::rounding::truncate;
use crate::search::extremes::magnitudes;

const LEN: usize = 64;
const SUB_LEN: usize = 16;
const N_SUBS: usize = LEN / SUB_LEN;
const BYTES: usize = N_SUBS + LEN / 2;

/// The largest scale that is written, 448; the next byte is NaN.
const MAX_SCALE: u8 = 0x7e;

/// The codec.
pub static CODEC: Codec = Codec {
    name: "NVFP4",
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
        let (scales, codes) = block.split_at_mut(N_SUBS);
        for ((x, scale), codes) in
            x.as_chunks::<SUB_LEN>().0.iter().zip(scales).zip(codes.as_chunks_mut::<{ SUB_LEN / 2 }>().0)
        {
            let abs_max = x.iter().fold(0.0_f32, |max, value| max.max(value.abs()));
            *scale = scale_byte(abs_max / 6.0);
            fp4::encode(x, half_scale(*scale), codes);
        }
    }
}

/// [`encode_row`] and [`decode_row`] in lanes.
struct Block;

impl EncodeBlocks<LEN, BYTES> for Block {
    #[inline(always)]
    fn encode<S: Simd>(x: &[[f32; LEN]], blocks: &mut [[u8; BYTES]]) {
        for (x, blocks) in x.chunks(WINDOW / N_SUBS).zip(blocks.chunks_mut(WINDOW / N_SUBS)) {
            let x = x.as_flattened().as_chunks::<SUB_LEN>().0;
            let magnitudes = magnitudes::<S, SUB_LEN>(x);
            for (sub, x) in x.iter().enumerate() {
                let (scales, codes) = blocks[sub / N_SUBS].split_at_mut(N_SUBS);
                let codes = &mut codes.as_chunks_mut::<{ SUB_LEN / 2 }>().0[sub % N_SUBS];
                let scale = scale_byte(magnitudes[sub] / 6.0);
                scales[sub % N_SUBS] = scale;
                let half_scale = half_scale(scale);
                if fp4::is_exact(magnitudes[sub], half_scale) {
                    let mut found = [0; SUB_LEN];
                    for first in (0..SUB_LEN).step_by(S::N) {
                        S::store_bytes(fp4::codes::<S>(&x[first..], half_scale), &mut found[first..]);
                    }
                    let found = u128::from_le_bytes(found);
                    *codes = (found as u64 | (found >> 60) as u64).to_le_bytes();
                } else {
                    fp4::encode(x, half_scale, codes);
                }
            }
        }
    }
}

fn decode_row(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<BYTES>().0.iter().zip(out.as_chunks_mut::<LEN>().0) {
        let (scales, codes) = block.split_at(N_SUBS);
        for ((out, scale), codes) in
            out.as_chunks_mut::<SUB_LEN>().0.iter_mut().zip(scales).zip(codes.as_chunks().0)
        {
            fp4::decode::<{ SUB_LEN / 2 }>(codes, half_scale(*scale), out);
        }
    }
}

/// The nearest scale, halves up; 256 and above become the largest one.
fn scale_byte(scale: f32) -> u8 {
    let bits = scale.to_bits();
    let exponent = (bits >> 23) as i32 - 127 + 7;
    if exponent <= 0 {
        // In units of the smallest subnormal, 2^-9. There is no rounding up to the smallest normal number.
        return truncate(scale * 512.0 + 0.5).clamp(0, 7) as u8;
    }
    if exponent >= 15 {
        return MAX_SCALE;
    }
    // A carry out of the mantissa increments the exponent.
    let byte = (exponent << 3) + (bits >> 20 & 7) as i32 + (bits >> 19 & 1) as i32;
    if byte >= 15 << 3 { MAX_SCALE } else { byte as u8 }
}

/// Half of a scale.
fn half_scale(byte: u8) -> f32 {
    let (exponent, mantissa) = (u32::from(byte >> 3 & 15), u32::from(byte & 7));
    match (exponent, byte) {
        (_, 0x7f) => 0.0,
        // 2^-9 is the unit; everything is exact.
        (0, _) => mantissa as f32 * (0.5 / 512.0),
        _ => 0.5 * f32::from_bits((exponent + 120) << 23 | mantissa << 20),
    }
}

impl DecodeBlock<LEN, BYTES> for Block {
    #[inline(always)]
    fn decode<S: Simd>(block: &[u8; BYTES], out: &mut [f32; LEN]) {
        let (scales, bytes) = block.split_at(N_SUBS);
        let subs = bytes.as_chunks::<{ SUB_LEN / 2 }>().0.iter().zip(out.as_chunks_mut::<SUB_LEN>().0);
        for ((bytes, out), scale) in subs.zip(scales) {
            let half_scale = S::splat(half_scale(*scale));
            // The upper half of a byte matters no more than the bits above it: indices are taken modulo 16.
            let bytes = u64::from_le_bytes(*bytes);
            let codes = (u128::from(bytes) | u128::from(bytes >> 4) << 64).to_le_bytes();
            for first in (0..SUB_LEN).step_by(S::N) {
                let codes = S::load_bytes(&codes[first..]);
                S::store(fp4::values::<S>(codes, half_scale), &mut out[first..]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_read_back() {
        for byte in (0..=0x77).chain([MAX_SCALE]) {
            assert_eq!(scale_byte(2.0 * half_scale(byte)), byte, "{byte:#x}");
        }
        assert_eq!(2.0 * half_scale(MAX_SCALE), 448.0);
        assert_eq!(scale_byte(f32::MAX), MAX_SCALE);
    }
}
