//! Q3_K: 256 weights in 110 bytes, 3.4375 bits per weight.
//!
//! Sixteen sub-blocks of 16 weights with signed 6-bit scales under one f16 number: `w ~= d * (scale[s] - 32) * (q - 4)`,
//! with `q` in `0..8`. A block holds
//!
//! * 32 bytes of upper bits: bit `b` of byte `i` is the upper bit of code `32 b + i`,
//! * 64 bytes of the lower two bits (see [`crate::layouts::two_bits`]),
//! * 12 bytes of scales: bytes 0..8 the lower 4 bits of scales 0..8 and, in their upper halves, 8..16; bytes 8..12 the
//!   upper 2 bits of scales `i`, `i + 4`, `i + 8` and `i + 12`,
//! * `d`.
//!
//! Source: `block_q3_K` of ggml-common.h. Bytes are compared with ggml's in `tests/golden.rs`.

use mc_tensor::convert::{f16_to_f32, f32_to_f16};

use crate::blocks::q4_0;
use crate::codec::{Codec, Importance, Vector};
use crate::lanes::Simd;
use crate::lanes::blocks::{self, DecodeBlock};
use crate::layouts::two_bits::{self, LEN};
use crate::rounding::nearest_int;
use crate::rows::encode_blocks;
use crate::search::lanes::symmetric::{extreme, symmetric};
use crate::search::super_blocks::{
    self, BlockScales, EncodeWindow, WINDOW, Weighting, Window, block_starts, descend_subs, signed_codes,
    store_codes, symmetric_subs,
};
use crate::search::{self, descend, sum_of_squares, weigh};

const SUB_LEN: usize = 16;
const N_SUBS: usize = LEN / SUB_LEN;
const HIGH_BYTES: usize = LEN / 8;
const LOW: usize = HIGH_BYTES;
const SCALES: usize = LOW + two_bits::BYTES;
const D: usize = SCALES + 12;
const BYTES: usize = D + 2;

/// The codec.
pub static CODEC: Codec = Codec {
    name: "Q3_K",
    version: 1,
    block_len: LEN,
    block_bytes: BYTES,
    fallback: Some(&q4_0::CODEC),
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
    let (d, scales) = match importance {
        None => plain_scales(x, &mut codes),
        Some(importance) => weighted_scales(x, importance, &mut codes),
    };
    let d = f32_to_f16(d);
    choose_codes(x, d, &scales, &mut codes);
    write_block(d, &scales, &codes, block);
}

#[inline(always)]
fn write_block(d: u16, scales: &[u8; N_SUBS], codes: &[u8; LEN], block: &mut [u8; BYTES]) {
    let (high, low) = split(codes);
    block[..LOW].copy_from_slice(&high);
    block[LOW..SCALES].copy_from_slice(&two_bits::pack(&low));
    block[SCALES..D].copy_from_slice(&pack_scales(scales));
    block[D..].copy_from_slice(&d.to_le_bytes());
}

fn plain_scales(x: &[f32; LEN], codes: &mut [u8; LEN]) -> (f32, [u8; N_SUBS]) {
    let mut scales = [0.0_f32; N_SUBS];
    for (sub, (x, codes)) in
        x.as_chunks::<SUB_LEN>().0.iter().zip(codes.as_chunks_mut::<SUB_LEN>().0).enumerate()
    {
        scales[sub] = descend(x, 4, codes);
    }
    let (max_scale, _) = search::extreme(&scales);
    if max_scale == 0.0 {
        return (0.0, [0; N_SUBS]);
    }
    let inverse = -32.0 / max_scale;
    // The reference narrows to a byte before limiting.
    let scale_codes = scales.map(|scale| ((nearest_int(inverse * scale) as i8).clamp(-32, 31) + 32) as u8);
    (1.0 / inverse, scale_codes)
}

fn weighted_scales(x: &[f32; LEN], importance: &[f32; LEN], codes: &mut [u8; LEN]) -> (f32, [u8; N_SUBS]) {
    let sigma2 = 2.0 * sum_of_squares(x) / LEN as f32;
    let (mut scales, mut sub_weights) = ([0.0_f32; N_SUBS], [0.0_f32; N_SUBS]);
    let subs = x.as_chunks::<SUB_LEN>().0.iter().zip(importance.as_chunks::<SUB_LEN>().0);
    for (sub, ((x, importance), codes)) in subs.zip(codes.as_chunks_mut::<SUB_LEN>().0).enumerate() {
        let weights = weigh(x, importance, sigma2);
        for weight in weights {
            sub_weights[sub] += weight;
        }
        scales[sub] = search::symmetric(x, 4, Some(&weights), codes);
    }
    let mut scale_codes = [0; N_SUBS];
    let d = search::symmetric(&scales, 32, Some(&sub_weights), &mut scale_codes);
    (d, scale_codes)
}

/// Chooses the codes again for the stored scales; a sub-block without a scale keeps its codes.
fn choose_codes(x: &[f32; LEN], d: u16, scales: &[u8; N_SUBS], codes: &mut [u8; LEN]) {
    for (sub, (x, codes)) in
        x.as_chunks::<SUB_LEN>().0.iter().zip(codes.as_chunks_mut::<SUB_LEN>().0).enumerate()
    {
        let d = f16_to_f32(d) * (f32::from(scales[sub]) - 32.0);
        if d == 0.0 {
            continue;
        }
        for (code, value) in codes.iter_mut().zip(x) {
            *code = (nearest_int(value / d).clamp(-4, 3) + 4) as u8;
        }
    }
}

/// Splits codes into the upper bits, packed, and the lower two bits.
#[inline(always)]
fn split(codes: &[u8; LEN]) -> ([u8; HIGH_BYTES], [u8; LEN]) {
    let mut high = [0; HIGH_BYTES];
    for (bit, codes) in codes.as_chunks::<HIGH_BYTES>().0.iter().enumerate() {
        for (byte, code) in high.iter_mut().zip(codes) {
            *byte |= (code >> 2) << bit;
        }
    }
    (high, codes.map(|code| code & 3))
}

#[inline(always)]
fn pack_scales(scales: &[u8; N_SUBS]) -> [u8; 12] {
    let mut packed = [0; 12];
    for i in 0..8 {
        packed[i] = scales[i] & 15 | (scales[i + 8] & 15) << 4;
    }
    for i in 0..4 {
        packed[i + 8] =
            scales[i] >> 4 | scales[i + 4] >> 4 << 2 | scales[i + 8] >> 4 << 4 | scales[i + 12] >> 4 << 6;
    }
    packed
}

fn unpack_scales(packed: &[u8]) -> [u8; N_SUBS] {
    std::array::from_fn(|sub| {
        let low = if sub < 8 { packed[sub] & 15 } else { packed[sub - 8] >> 4 };
        low | (packed[8 + sub % 4] >> (2 * (sub / 4)) & 3) << 4
    })
}

/// [`encode_row`] and [`decode_row`] in lanes.
struct Block;

impl EncodeWindow<LEN, BYTES> for Block {
    #[inline(always)]
    fn encode<S: Simd>(window: &Window<'_>, blocks: &mut [[u8; BYTES]]) {
        let (units, scales) = match window.importance {
            None => plain_scales_in_lanes::<S>(window),
            Some(_) => weighted_scales_in_lanes::<S>(window),
        };
        for (block_idx, block) in blocks.iter_mut().enumerate() {
            encode_block_in_lanes::<S>(window, block_idx, units[block_idx], &scales[block_idx], block);
        }
    }
}

/// [`plain_scales`] of every super-block.
#[inline(always)]
fn plain_scales_in_lanes<S: Simd>(window: &Window<'_>) -> BlockScales<N_SUBS> {
    let subs = descend_subs::<S, SUB_LEN>(window, 4);
    let (mut units, mut codes) = ([0.0; WINDOW], [[0; N_SUBS]; WINDOW]);
    for first in (0..window.len()).step_by(S::N) {
        let scales = S::columns::<N_SUBS>(&subs.scales, &block_starts(first, N_SUBS));
        let (max, _) = extreme::<S, N_SUBS>(&scales);
        let inverse = S::splat(-32.0) / max;
        // Without a scale the unit is zero, and the scalar code encodes the block.
        let is_zero = S::eq(max, S::splat(0.0));
        S::store(S::select(is_zero, S::splat(0.0), S::splat(1.0) / inverse), &mut units[first..]);
        let mut found = [S::splat_i(0); N_SUBS];
        for sub in 0..N_SUBS {
            let code = S::nearest_int(inverse * scales[sub]);
            let narrow = ((code & S::splat_i(255)) ^ S::splat_i(128)) - S::splat_i(128);
            found[sub] = S::clamp_i(narrow, -32, 31) + S::splat_i(32);
        }
        store_codes::<S, N_SUBS>(&found, &mut codes[first..]);
    }
    (units, codes)
}

/// [`weighted_scales`] of every super-block.
#[inline(always)]
fn weighted_scales_in_lanes<S: Simd>(window: &Window<'_>) -> BlockScales<N_SUBS> {
    let subs = symmetric_subs::<S, SUB_LEN>(window, Weighting::ImportanceAndMean(2.0), 4);
    let (mut units, mut codes) = ([0.0; WINDOW], [[0; N_SUBS]; WINDOW]);
    for first in (0..window.len()).step_by(S::N) {
        let starts = block_starts(first, N_SUBS);
        let scales = S::columns::<N_SUBS>(&subs.scales, &starts);
        let weights = S::columns::<N_SUBS>(&subs.weights, &starts);
        let [found] = symmetric::<S, N_SUBS, 1>(&[scales], 32, &[weights]);
        S::store(found.scale, &mut units[first..]);
        let mut found_codes = [S::splat_i(0); N_SUBS];
        for sub in 0..N_SUBS {
            found_codes[sub] = found.code(scales[sub], 32);
        }
        store_codes::<S, N_SUBS>(&found_codes, &mut codes[first..]);
    }
    (units, codes)
}

/// Encodes a block with the given scales.
#[inline(always)]
fn encode_block_in_lanes<S: Simd>(
    window: &Window<'_>,
    block_idx: usize,
    unit: f32,
    scales: &[u8; N_SUBS],
    block: &mut [u8; BYTES],
) {
    let (x, importance) = window.block(block_idx);
    let half = f32_to_f16(unit);
    let d = f16_to_f32(half);
    let mut codes = [0; LEN];
    let mut has_scales = true;
    for (sub, (x, codes)) in
        x.as_chunks::<SUB_LEN>().0.iter().zip(codes.as_chunks_mut::<SUB_LEN>().0).enumerate()
    {
        let scale = d * (f32::from(scales[sub]) - 32.0);
        has_scales &= scale != 0.0;
        signed_codes::<S, SUB_LEN>(x, scale, 4, codes);
    }
    if has_scales {
        write_block(half, scales, &codes, block);
    } else {
        // A sub-block without a scale keeps the codes of its search, which the lanes did not store.
        encode_row(x, importance, block);
    }
}

fn decode_row(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<BYTES>().0.iter().zip(out.as_chunks_mut::<LEN>().0) {
        let d = f16_to_f32(u16::from_le_bytes([block[D], block[D + 1]]));
        let scales = unpack_scales(&block[SCALES..D]);
        let low = two_bits::unpack(block[LOW..].first_chunk().expect("a block has lower bits"));
        for (i, (value, low)) in out.iter_mut().zip(low).enumerate() {
            let scale = d * (f32::from(scales[i / SUB_LEN]) - 32.0);
            let high = block[i % HIGH_BYTES] >> (i / HIGH_BYTES) & 1;
            *value = scale * (f32::from(low | high << 2) - 4.0);
        }
    }
}

impl DecodeBlock<LEN, BYTES> for Block {
    #[inline(always)]
    fn decode<S: Simd>(block: &[u8; BYTES], out: &mut [f32; LEN]) {
        let d = f16_to_f32(u16::from_le_bytes([block[D], block[D + 1]]));
        let scales = unpack_scales(&block[SCALES..D]);
        for (sub, out) in out.as_chunks_mut::<SUB_LEN>().0.iter_mut().enumerate() {
            let scale = S::splat(d * (f32::from(scales[sub]) - 32.0));
            let high = &block[SUB_LEN * (sub % 2)..][..SUB_LEN];
            let low = &block[LOW + 32 * (sub / 8) + SUB_LEN * (sub % 2)..][..SUB_LEN];
            let (bit, shift) = (S::splat_i(sub as i32 / 2), S::splat_i(sub as i32 % 8 / 2 * 2));
            for first in (0..SUB_LEN).step_by(S::N) {
                let low = S::shr_each(S::load_bytes(&low[first..]), shift) & S::splat_i(3);
                let high = S::shr_each(S::load_bytes(&high[first..]), bit) & S::splat_i(1);
                let code = (low | S::shl::<2>(high)) - S::splat_i(4);
                S::store(scale * S::to_f(code), &mut out[first..]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_scales_read_back() {
        let scales = std::array::from_fn(|sub| (sub * 37 % 64) as u8);
        assert_eq!(unpack_scales(&pack_scales(&scales)), scales);
    }
}
