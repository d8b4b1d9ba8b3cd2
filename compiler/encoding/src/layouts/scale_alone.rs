//! Blocks of Q4_0 and Q5_0: 32 weights with one f16 scale `d`, and codes of `BITS` bits: `w ~= d * (q - 2^(BITS - 1))`.
//!
//! With importance, the scale is searched; without it, the number with the largest magnitude gets code 0.

use mc_tensor::convert::{f16_to_f32, f32_to_f16};

use crate::lanes::Simd;
use crate::lanes::blocks::{DecodeBlock, EncodeBlocks};
use crate::layouts::four_or_five_bits::{self, LEN};
use crate::search::extremes::{Scales, peaks};
use crate::search::super_blocks::Window;
use crate::search::weighted_blocks::{Encode, Found, Means, symmetric_blocks};
use crate::search::{extreme, symmetric};

/// Blocks of `BYTES` with codes of `BITS` bits.
pub(crate) struct Block<const BITS: u32, const BYTES: usize>;

impl<const BITS: u32, const BYTES: usize> Block<BITS, BYTES> {
    /// Number of codes for negative weights, and the code of zero.
    const N_MAX: i32 = 1 << (BITS - 1);
    const HALF: f32 = Self::N_MAX as f32 + 0.5;

    #[inline(always)]
    fn write_block(block: &mut [u8; BYTES], d: f32, codes: &[u8; LEN]) {
        let (half, packed) = block.split_at_mut(2);
        half.copy_from_slice(&f32_to_f16(d).to_le_bytes());
        four_or_five_bits::pack::<BITS>(codes, packed);
    }

    pub(crate) fn decode_row(blocks: &[u8], out: &mut [f32]) {
        for (block, out) in blocks.as_chunks::<BYTES>().0.iter().zip(out.as_chunks_mut::<LEN>().0) {
            let d = f16_to_f32(u16::from_le_bytes([block[0], block[1]]));
            four_or_five_bits::decode::<BITS>(&block[2..], out, |code| (code - Self::N_MAX as f32) * d);
        }
    }
}

impl<const BITS: u32, const BYTES: usize> EncodeBlocks<LEN, BYTES> for Block<BITS, BYTES> {
    #[inline(always)]
    fn encode<S: Simd>(x: &[[f32; LEN]], blocks: &mut [[u8; BYTES]]) {
        let scales = Scales::new::<S>(&peaks::<S>(x), -(Self::N_MAX as f32));
        for (block_idx, (x, block)) in x.iter().zip(blocks).enumerate() {
            let inverse = S::splat(scales.inverses[block_idx]);
            let (half, packed) = block.split_at_mut(2);
            half.copy_from_slice(&scales.halves[block_idx]);
            four_or_five_bits::encode::<S, BITS>(x, S::splat(0.0), inverse, Self::HALF, packed);
        }
    }
}

impl<const BITS: u32, const BYTES: usize> Encode<BYTES> for Block<BITS, BYTES> {
    fn encode_plain(x: &[f32; LEN], block: &mut [u8; BYTES]) {
        let (max, _) = extreme(x);
        let d = max / -(Self::N_MAX as f32);
        let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
        Self::write_block(block, d, &four_or_five_bits::codes::<BITS>(x, 0.0, inverse, Self::HALF));
    }

    fn encode_weighted(x: &[f32; LEN], weights: &[f32; LEN], block: &mut [u8; BYTES]) {
        let mut codes = [0; LEN];
        let d = symmetric(x, Self::N_MAX, Some(weights), &mut codes);
        Self::write_block(block, d, &codes);
    }

    #[inline(always)]
    fn search<S: Simd>(window: &Window<'_>, importance: &[f32], means: &Means) -> Found {
        symmetric_blocks::<S>(window, importance, means, Self::N_MAX)
    }

    #[inline(always)]
    fn write<S: Simd>(found: &Found, block_idx: usize, x: &[f32; LEN], block: &mut [u8; BYTES]) {
        let codes = found.signed_codes::<S>(block_idx, x, Self::N_MAX);
        Self::write_block(block, found.scales[block_idx], &codes);
    }
}

impl<const BITS: u32, const BYTES: usize> DecodeBlock<LEN, BYTES> for Block<BITS, BYTES> {
    #[inline(always)]
    fn decode<S: Simd>(block: &[u8; BYTES], out: &mut [f32; LEN]) {
        let d = S::splat(f16_to_f32(u16::from_le_bytes([block[0], block[1]])));
        let n_max = S::splat_i(Self::N_MAX);
        for first in four_or_five_bits::firsts::<S>() {
            let [lower, upper] = four_or_five_bits::codes_at::<S, BITS>(&block[2..], first);
            S::store(S::to_f(lower - n_max) * d, &mut out[first..]);
            S::store(S::to_f(upper - n_max) * d, &mut out[first + LEN / 2..]);
        }
    }
}
