//! Q6_K: 256 weights in 210 bytes, 6.5625 bits per weight.
//!
//! Sixteen sub-blocks of 16 weights with signed 8-bit scales under one f16 number: `w ~= d * scale[s] * (q - 32)`. Of
//! each half of 128 weights, 64 bytes hold the lower 4 bits and 32 bytes the upper 2 bits of the codes.
//!
//! Source: `block_q6_K` of ggml-common.h. Bytes are compared with ggml's in `tests/golden.rs`.

use mc_tensor::convert::{f16_to_f32, f32_to_f16};

use crate::blocks::q8_0;
use crate::codec::{Codec, Importance, Vector};
use crate::lanes::Simd;
use crate::lanes::blocks::{self, DecodeBlock};
use crate::rounding::nearest_int;
use crate::rows::encode_blocks;
use crate::search::lanes::symmetric::extreme;
use crate::search::super_blocks::{
    self, BlockScales, EncodeWindow, WINDOW, Weighting, Window, block_starts, signed_codes, store_codes,
    symmetric_subs,
};
use crate::search::{self, GROUP_MAX_EPS, symmetric};

const LEN: usize = 256;
const SUB_LEN: usize = 16;
const N_SUBS: usize = LEN / SUB_LEN;
const HIGH: usize = 128;
const SCALES: usize = 192;
const D: usize = 208;
const BYTES: usize = 210;

/// The codec.
pub static CODEC: Codec = Codec {
    name: "Q6_K",
    version: 1,
    block_len: LEN,
    block_bytes: BYTES,
    fallback: Some(&q8_0::CODEC),
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
    let mut codes = [0; LEN];
    let mut scales = [0.0_f32; N_SUBS];
    let x_subs = x.as_chunks::<SUB_LEN>().0;
    for (sub, (x, codes)) in x_subs.iter().zip(codes.as_chunks_mut::<SUB_LEN>().0).enumerate() {
        let weights = importance.map(|weights| &weights.as_chunks::<SUB_LEN>().0[sub]);
        scales[sub] = symmetric(x, 32, weights, codes);
    }
    let (max_scale, max_abs_scale) = search::extreme(&scales);
    if max_abs_scale < GROUP_MAX_EPS {
        block.fill(0);
        return;
    }
    let inverse = -128.0 / max_scale;
    let d = f32_to_f16(1.0 / inverse);
    block[D..].copy_from_slice(&d.to_le_bytes());
    for (sub, (x, codes)) in x_subs.iter().zip(codes.as_chunks_mut::<SUB_LEN>().0).enumerate() {
        let scale = nearest_int(inverse * scales[sub]).min(127) as i8;
        block[SCALES + sub] = scale as u8;
        let d = f16_to_f32(d) * f32::from(scale);
        if d == 0.0 {
            continue;
        }
        for (code, value) in codes.iter_mut().zip(x) {
            *code = (nearest_int(value / d).clamp(-32, 31) + 32) as u8;
        }
    }
    write_codes(&codes, block);
}

#[inline(always)]
fn write_codes(codes: &[u8; LEN], block: &mut [u8; BYTES]) {
    for (half, codes) in codes.as_chunks::<128>().0.iter().enumerate() {
        for i in 0..32 {
            let [a, b, c, d] = [codes[i], codes[i + 32], codes[i + 64], codes[i + 96]];
            block[64 * half + i] = a & 15 | (c & 15) << 4;
            block[64 * half + i + 32] = b & 15 | (d & 15) << 4;
            block[HIGH + 32 * half + i] = a >> 4 | (b >> 4) << 2 | (c >> 4) << 4 | (d >> 4) << 6;
        }
    }
}

/// [`encode_row`] and [`decode_row`] in lanes.
struct Block;

impl EncodeWindow<LEN, BYTES> for Block {
    #[inline(always)]
    fn encode<S: Simd>(window: &Window<'_>, blocks: &mut [[u8; BYTES]]) {
        let scales = scales::<S>(window);
        for (block_idx, block) in blocks.iter_mut().enumerate() {
            encode_block_in_lanes::<S>(window, block_idx, &scales, block);
        }
    }
}

/// `d` and the codes of the scales of every super-block; `d` is zero if all weights are.
#[inline(always)]
fn scales<S: Simd>(window: &Window<'_>) -> BlockScales<N_SUBS> {
    let weighting = if window.importance.is_some() { Weighting::Importance } else { Weighting::Square };
    let found = symmetric_subs::<S, SUB_LEN>(window, weighting, 32);
    let (mut units, mut codes) = ([0.0; WINDOW], [[0; N_SUBS]; WINDOW]);
    for first in (0..window.len()).step_by(S::N) {
        let scales = S::columns::<N_SUBS>(&found.scales, &block_starts(first, N_SUBS));
        let (max, abs_max) = extreme::<S, N_SUBS>(&scales);
        let inverse = S::splat(-128.0) / max;
        let d = S::from_f16(S::to_f16(S::splat(1.0) / inverse));
        let is_zero = S::lt(abs_max, S::splat(GROUP_MAX_EPS));
        S::store(S::select(is_zero, S::splat(0.0), d), &mut units[first..]);
        let mut found = [S::splat_i(0); N_SUBS];
        for sub in 0..N_SUBS {
            found[sub] = S::min_i(S::nearest_int(inverse * scales[sub]), S::splat_i(127));
        }
        store_codes::<S, N_SUBS>(&found, &mut codes[first..]);
    }
    (units, codes)
}

/// [`encode_block`] with the given scales of the super-block.
#[inline(always)]
fn encode_block_in_lanes<S: Simd>(
    window: &Window<'_>,
    block_idx: usize,
    (units, scales): &BlockScales<N_SUBS>,
    block: &mut [u8; BYTES],
) {
    let (x, importance) = window.block(block_idx);
    let (d, scales) = (units[block_idx], &scales[block_idx]);
    let mut codes = [0; LEN];
    let mut has_scales = true;
    for (sub, (x, codes)) in
        x.as_chunks::<SUB_LEN>().0.iter().zip(codes.as_chunks_mut::<SUB_LEN>().0).enumerate()
    {
        let scale = d * f32::from(scales[sub] as i8);
        has_scales &= scale != 0.0;
        signed_codes::<S, SUB_LEN>(x, scale, 32, codes);
    }
    if has_scales {
        block[D..].copy_from_slice(&f32_to_f16(d).to_le_bytes());
        block[SCALES..D].copy_from_slice(scales);
        write_codes(&codes, block);
    } else {
        // A sub-block without a scale keeps the codes of its search, which the lanes did not store.
        encode_row(x, importance, block);
    }
}

fn decode_row(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<BYTES>().0.iter().zip(out.as_chunks_mut::<LEN>().0) {
        let d = f16_to_f32(u16::from_le_bytes([block[D], block[D + 1]]));
        for (half, out) in out.as_chunks_mut::<128>().0.iter_mut().enumerate() {
            let scale = |quarter: usize, i: usize| {
                d * f32::from(block[SCALES + 8 * half + 2 * quarter + i / SUB_LEN] as i8)
            };
            for i in 0..32 {
                let (first, second) = (block[64 * half + i], block[64 * half + i + 32]);
                let high = block[HIGH + 32 * half + i];
                let codes = [
                    first & 15 | (high & 3) << 4,
                    second & 15 | (high >> 2 & 3) << 4,
                    first >> 4 | (high >> 4 & 3) << 4,
                    second >> 4 | (high >> 6) << 4,
                ];
                for (quarter, code) in codes.into_iter().enumerate() {
                    out[i + 32 * quarter] = scale(quarter, i) * (f32::from(code) - 32.0);
                }
            }
        }
    }
}

impl DecodeBlock<LEN, BYTES> for Block {
    #[inline(always)]
    fn decode<S: Simd>(block: &[u8; BYTES], out: &mut [f32; LEN]) {
        let d = f16_to_f32(u16::from_le_bytes([block[D], block[D + 1]]));
        let mut scales = [0.0; LEN / SUB_LEN];
        for (scale, byte) in scales.iter_mut().zip(&block[SCALES..D]) {
            *scale = d * f32::from(*byte as i8);
        }
        let (two_bits, four_bits) = (S::splat_i(3), S::splat_i(15));
        for (half, out) in out.as_chunks_mut::<128>().0.iter_mut().enumerate() {
            for i in (0..32).step_by(S::N) {
                let first = S::load_bytes(&block[64 * half + i..]);
                let second = S::load_bytes(&block[64 * half + i + 32..]);
                let high = S::load_bytes(&block[HIGH + 32 * half + i..]);
                let codes = [
                    first & four_bits | S::shl::<4>(high & two_bits),
                    second & four_bits | S::shl::<4>(S::shr::<2>(high) & two_bits),
                    S::shr::<4>(first) | S::shl::<4>(S::shr::<4>(high) & two_bits),
                    S::shr::<4>(second) | S::shl::<4>(S::shr::<6>(high)),
                ];
                for quarter in 0..4 {
                    let scale = S::splat(scales[8 * half + 2 * quarter + i / SUB_LEN]);
                    let weights = scale * S::to_f(codes[quarter] - S::splat_i(32));
                    S::store(weights, &mut out[i + 32 * quarter..]);
                }
            }
        }
    }
}
