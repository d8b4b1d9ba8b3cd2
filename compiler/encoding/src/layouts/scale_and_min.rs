//! Blocks of Q4_1 and Q5_1: 32 weights with an f16 scale `d` and an f16 minimum `m`, and codes of `BITS` bits:
//! `w ~= d * q + m`.
//!
//! With importance, scale and minimum are searched; without it, they follow from the extremes.

use mc_tensor::convert::{f16_to_f32, f32_to_f16};

use crate::lanes::Simd;
use crate::lanes::blocks::{DecodeBlock, EncodeBlocks};
use crate::layouts::four_or_five_bits::{self, LEN, max_code};
use crate::search::extremes::{Scales, halves, ranges};
use crate::search::super_blocks::Window;
use crate::search::weighted_blocks::{Encode, Found, Means, affine_blocks};
use crate::search::{Deviation, Walk, affine};

/// Blocks of `BYTES` with codes of `BITS` bits.
pub(crate) struct Block<const BITS: u32, const BYTES: usize>;

impl<const BITS: u32, const BYTES: usize> Block<BITS, BYTES> {
    const N_MAX: i32 = max_code(BITS);
    const WALK: Walk =
        Walk { n_max: Self::N_MAX, start: -0.9, step: 0.05, n_steps: 36, deviation: Deviation::Squared };

    #[inline(always)]
    fn write_block(block: &mut [u8; BYTES], d: f32, min: f32, codes: &[u8; LEN]) {
        let (head, packed) = block.split_at_mut(4);
        head[..2].copy_from_slice(&f32_to_f16(d).to_le_bytes());
        head[2..].copy_from_slice(&f32_to_f16(min).to_le_bytes());
        four_or_five_bits::pack::<BITS>(codes, packed);
    }

    pub(crate) fn decode_row(blocks: &[u8], out: &mut [f32]) {
        for (block, out) in blocks.as_chunks::<BYTES>().0.iter().zip(out.as_chunks_mut::<LEN>().0) {
            let (d, min) = scale_and_min(block);
            four_or_five_bits::decode::<BITS>(&block[4..], out, |code| code * d + min);
        }
    }
}

#[inline(always)]
fn scale_and_min<const BYTES: usize>(block: &[u8; BYTES]) -> (f32, f32) {
    let d = f16_to_f32(u16::from_le_bytes([block[0], block[1]]));
    let min = f16_to_f32(u16::from_le_bytes([block[2], block[3]]));
    (d, min)
}

impl<const BITS: u32, const BYTES: usize> EncodeBlocks<LEN, BYTES> for Block<BITS, BYTES> {
    #[inline(always)]
    fn encode<S: Simd>(x: &[[f32; LEN]], blocks: &mut [[u8; BYTES]]) {
        let (mins, mut widths) = ranges::<S>(x);
        for (width, min) in widths.iter_mut().zip(mins) {
            *width -= min;
        }
        let scales = Scales::new::<S>(&widths, Self::N_MAX as f32);
        let halves = halves::<S>(&mins);
        for (block_idx, (x, block)) in x.iter().zip(blocks).enumerate() {
            let (min, inverse) = (S::splat(mins[block_idx]), S::splat(scales.inverses[block_idx]));
            let (head, packed) = block.split_at_mut(4);
            head[..2].copy_from_slice(&scales.halves[block_idx]);
            head[2..].copy_from_slice(&halves[block_idx]);
            four_or_five_bits::encode::<S, BITS>(x, min, inverse, 0.5, packed);
        }
    }
}

impl<const BITS: u32, const BYTES: usize> Encode<BYTES> for Block<BITS, BYTES> {
    fn encode_plain(x: &[f32; LEN], block: &mut [u8; BYTES]) {
        let (mut min, mut max) = (f32::MAX, f32::MIN);
        for value in x {
            if *value < min {
                min = *value;
            }
            if *value > max {
                max = *value;
            }
        }
        let d = (max - min) / Self::N_MAX as f32;
        let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
        Self::write_block(block, d, min, &four_or_five_bits::codes::<BITS>(x, min, inverse, 0.5));
    }

    fn encode_weighted(x: &[f32; LEN], weights: &[f32; LEN], block: &mut [u8; BYTES]) {
        let mut codes = [0; LEN];
        let (d, min) = affine(x, weights, Self::WALK, &mut codes);
        Self::write_block(block, d, -min, &codes);
    }

    #[inline(always)]
    fn search<S: Simd>(window: &Window<'_>, importance: &[f32], means: &Means) -> Found {
        affine_blocks::<S>(window, importance, means, Self::WALK)
    }

    #[inline(always)]
    fn write<S: Simd>(found: &Found, block_idx: usize, x: &[f32; LEN], block: &mut [u8; BYTES]) {
        let codes = found.affine_codes::<S>(block_idx, x, Self::N_MAX);
        Self::write_block(block, found.scales[block_idx], -found.mins[block_idx], &codes);
    }
}

impl<const BITS: u32, const BYTES: usize> DecodeBlock<LEN, BYTES> for Block<BITS, BYTES> {
    #[inline(always)]
    fn decode<S: Simd>(block: &[u8; BYTES], out: &mut [f32; LEN]) {
        let (d, min) = scale_and_min(block);
        let (d, min) = (S::splat(d), S::splat(min));
        for first in four_or_five_bits::firsts::<S>() {
            let [lower, upper] = four_or_five_bits::codes_at::<S, BITS>(&block[4..], first);
            S::store(S::to_f(lower) * d + min, &mut out[first..]);
            S::store(S::to_f(upper) * d + min, &mut out[first + LEN / 2..]);
        }
    }
}
