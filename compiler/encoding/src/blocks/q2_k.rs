//! Q2_K: 256 weights in 84 bytes, 2.625 bits per weight.
//!
//! Sixteen sub-blocks of 16 weights; each has a byte with a 4-bit scale (lower half) and a 4-bit minimum (upper half),
//! which two f16 numbers scale: `w ~= d * scale[s] * q - dmin * min[s]`, with `q` in `0..4`. The scale bytes come
//! first, then the codes (see [`crate::layouts::two_bits`]), `d` and `dmin`.
//!
//! Source: `block_q2_K` of ggml-common.h. Bytes are compared with ggml's in `tests/golden.rs`.

use mc_tensor::convert::{f16_to_f32, f32_to_f16};

use crate::blocks::q4_0;
use crate::codec::{Codec, Importance, Vector};
use crate::lanes::Simd;
use crate::lanes::blocks::{self, DecodeBlock};
use crate::layouts::two_bits::{self, LEN};
use crate::rounding::nearest_int;
use crate::rows::encode_blocks;
use crate::search::affine_subs::weighted_affine;
use crate::search::super_blocks::{
    self, BlockScales, EncodeWindow, Found, WINDOW, Weighting, Window, affine_codes, affine_subs,
    block_starts, positive_blocks, store_codes,
};
use crate::search::{Deviation, Walk, affine, sum_of_squares};

const SUB_LEN: usize = 16;
const N_SUBS: usize = LEN / SUB_LEN;
const CODES: usize = N_SUBS;
const D: usize = CODES + two_bits::BYTES;
const DMIN: usize = D + 2;
const BYTES: usize = DMIN + 2;

const WALK: Walk = Walk { n_max: 3, start: -0.5, step: 0.1, n_steps: 15, deviation: Deviation::Absolute };
const IMPORTANCE_WALK: Walk =
    Walk { n_max: 3, start: -0.9, step: 0.05, n_steps: 36, deviation: Deviation::Squared };

/// The codec.
pub static CODEC: Codec = Codec {
    name: "Q2_K",
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

/// `d`, `dmin` and a byte per sub-block.
struct Head {
    d: u16,
    dmin: u16,
    packed: [u8; N_SUBS],
}

impl Head {
    #[inline(always)]
    fn scale_and_min(&self, sub: usize) -> (f32, f32) {
        let packed = self.packed[sub];
        (f16_to_f32(self.d) * f32::from(packed & 15), f16_to_f32(self.dmin) * f32::from(packed >> 4))
    }
}

fn encode_row(row: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
    encode_blocks(row, importance, out, encode_block);
}

fn encode_block(x: &[f32; LEN], importance: Option<&[f32; LEN]>, block: &mut [u8; BYTES]) {
    let mut codes = [0; LEN];
    let head = match importance {
        None => plain_head(x, &mut codes),
        Some(importance) => weighted_head(x, importance, &mut codes),
    };
    choose_codes(x, &head, &mut codes);
    write_block(&head, &codes, block);
}

#[inline(always)]
fn write_block(head: &Head, codes: &[u8; LEN], block: &mut [u8; BYTES]) {
    block[..CODES].copy_from_slice(&head.packed);
    block[CODES..D].copy_from_slice(&two_bits::pack(codes));
    block[D..DMIN].copy_from_slice(&head.d.to_le_bytes());
    block[DMIN..].copy_from_slice(&head.dmin.to_le_bytes());
}

fn plain_head(x: &[f32; LEN], codes: &mut [u8; LEN]) -> Head {
    let (mut scales, mut mins) = ([0.0_f32; N_SUBS], [0.0_f32; N_SUBS]);
    for (sub, (x, codes)) in
        x.as_chunks::<SUB_LEN>().0.iter().zip(codes.as_chunks_mut::<SUB_LEN>().0).enumerate()
    {
        (scales[sub], mins[sub]) = affine(x, &x.map(f32::abs), WALK, codes);
    }
    let (d, scale_codes) = four_bits(&scales);
    let (dmin, min_codes) = four_bits(&mins);
    Head { d, dmin, packed: join(&scale_codes, &min_codes) }
}

/// Codes relative to the largest of the numbers, and their unit as f16.
fn four_bits(values: &[f32; N_SUBS]) -> (u16, [u8; N_SUBS]) {
    let max = values.iter().fold(0.0_f32, |max, value| if *value > max { *value } else { max });
    if max <= 0.0 {
        return (f32_to_f16(0.0), [0; N_SUBS]);
    }
    let inverse = 15.0 / max;
    (f32_to_f16(max / 15.0), values.map(|value| nearest_int(inverse * value) as u8))
}

fn weighted_head(x: &[f32; LEN], importance: &[f32; LEN], codes: &mut [u8; LEN]) -> Head {
    let sigma2 = sum_of_squares(x) / LEN as f32;
    let [(d, scales), (dmin, mins)] =
        weighted_affine::<SUB_LEN, N_SUBS>(x, importance, sigma2, (IMPORTANCE_WALK, 15), codes);
    Head { d: f32_to_f16(d), dmin: f32_to_f16(dmin), packed: join(&scales, &mins) }
}

#[inline(always)]
fn join(scales: &[u8; N_SUBS], mins: &[u8; N_SUBS]) -> [u8; N_SUBS] {
    let mut packed = *scales;
    for (byte, min) in packed.iter_mut().zip(mins) {
        *byte |= min << 4;
    }
    packed
}

/// Chooses the codes again for the stored scales; a sub-block without a scale keeps its codes.
fn choose_codes(x: &[f32; LEN], head: &Head, codes: &mut [u8; LEN]) {
    for (sub, (x, codes)) in
        x.as_chunks::<SUB_LEN>().0.iter().zip(codes.as_chunks_mut::<SUB_LEN>().0).enumerate()
    {
        let (d, min) = head.scale_and_min(sub);
        if d == 0.0 {
            continue;
        }
        for (code, value) in codes.iter_mut().zip(x) {
            *code = nearest_int((value + min) / d).clamp(0, 3) as u8;
        }
    }
}

/// [`encode_row`] and [`decode_row`] in lanes.
struct Block;

impl EncodeWindow<LEN, BYTES> for Block {
    #[inline(always)]
    fn encode<S: Simd>(window: &Window<'_>, blocks: &mut [[u8; BYTES]]) {
        let [scales, mins] = if window.importance.is_none() {
            let found = affine_subs::<S, SUB_LEN>(window, Weighting::Magnitude, WALK);
            four_bits_in_lanes::<S>(&found, window.len())
        } else {
            let weighting = Weighting::ImportanceAndMean(1.0);
            let found = affine_subs::<S, SUB_LEN>(window, weighting, IMPORTANCE_WALK);
            positive_blocks::<S, N_SUBS>(&found, 15, window.len())
        };
        for (block_idx, block) in blocks.iter_mut().enumerate() {
            let head = Head {
                d: f32_to_f16(scales.0[block_idx]),
                dmin: f32_to_f16(mins.0[block_idx]),
                packed: join(&scales.1[block_idx], &mins.1[block_idx]),
            };
            encode_block_in_lanes::<S>(window, block_idx, &head, block);
        }
    }
}

/// [`four_bits`] of the scales, and of the minima, of every super-block.
#[inline(always)]
fn four_bits_in_lanes<S: Simd>(subs: &Found, n_blocks: usize) -> [BlockScales<N_SUBS>; 2] {
    let zero = S::splat(0.0);
    let mut blocks = [([0.0; WINDOW], [[0; N_SUBS]; WINDOW]); 2];
    for (values, blocks) in [&subs.scales, &subs.mins].into_iter().zip(&mut blocks) {
        for first in (0..n_blocks).step_by(S::N) {
            let values = S::columns::<N_SUBS>(values, &block_starts(first, N_SUBS));
            let mut max = zero;
            for value in values {
                max = S::max(value, max);
            }
            let is_positive = S::lt(zero, max);
            let inverse = S::splat(15.0) / max;
            let mut codes = [S::splat_i(0); N_SUBS];
            for sub in 0..N_SUBS {
                let code = S::nearest_int(inverse * values[sub]);
                codes[sub] = S::select_i(is_positive, code, S::splat_i(0));
            }
            let unit = S::select(is_positive, max / S::splat(15.0), zero);
            S::store(unit, &mut blocks.0[first..]);
            store_codes::<S, N_SUBS>(&codes, &mut blocks.1[first..]);
        }
    }
    blocks
}

/// Encodes a block with the given head.
#[inline(always)]
fn encode_block_in_lanes<S: Simd>(
    window: &Window<'_>,
    block_idx: usize,
    head: &Head,
    block: &mut [u8; BYTES],
) {
    let (x, importance) = window.block(block_idx);
    let mut codes = [0; LEN];
    let mut has_scales = true;
    for (sub, (x, codes)) in
        x.as_chunks::<SUB_LEN>().0.iter().zip(codes.as_chunks_mut::<SUB_LEN>().0).enumerate()
    {
        let (scale, min) = head.scale_and_min(sub);
        has_scales &= scale != 0.0;
        affine_codes::<S, SUB_LEN>(x, scale, min, 3, codes);
    }
    if has_scales {
        write_block(head, &codes, block);
    } else {
        // A sub-block without a scale keeps the codes of its search, which the lanes did not store.
        encode_row(x, importance, block);
    }
}

fn decode_row(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<BYTES>().0.iter().zip(out.as_chunks_mut::<LEN>().0) {
        let half = |at: usize| u16::from_le_bytes([block[at], block[at + 1]]);
        let (packed, rest) = block.split_first_chunk().expect("a block has scales");
        let head = Head { d: half(D), dmin: half(DMIN), packed: *packed };
        let codes = two_bits::unpack(rest.first_chunk().expect("a block has codes"));
        for (sub, (codes, out)) in
            codes.as_chunks::<SUB_LEN>().0.iter().zip(out.as_chunks_mut::<SUB_LEN>().0).enumerate()
        {
            let (scale, min) = head.scale_and_min(sub);
            for (value, code) in out.iter_mut().zip(codes) {
                *value = scale * f32::from(*code) - min;
            }
        }
    }
}

impl DecodeBlock<LEN, BYTES> for Block {
    #[inline(always)]
    fn decode<S: Simd>(block: &[u8; BYTES], out: &mut [f32; LEN]) {
        let half = |at: usize| f16_to_f32(u16::from_le_bytes([block[at], block[at + 1]]));
        let (d, dmin) = (half(D), half(DMIN));
        for (sub, out) in out.as_chunks_mut::<SUB_LEN>().0.iter_mut().enumerate() {
            let packed = block[sub];
            let scale = S::splat(d * f32::from(packed & 15));
            let min = S::splat(dmin * f32::from(packed >> 4));
            let bytes = &block[CODES + 32 * (sub / 8) + SUB_LEN * (sub % 2)..][..SUB_LEN];
            let shift = S::splat_i(sub as i32 % 8 / 2 * 2);
            for first in (0..SUB_LEN).step_by(S::N) {
                let codes = S::shr_each(S::load_bytes(&bytes[first..]), shift) & S::splat_i(3);
                S::store(scale * S::to_f(codes) - min, &mut out[first..]);
            }
        }
    }
}
