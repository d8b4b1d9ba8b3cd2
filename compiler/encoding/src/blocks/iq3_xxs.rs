//! IQ3_XXS: 256 weights in 98 bytes, 3.0625 bits per weight.
//!
//! Eight sub-blocks of 32 weights under one f16 number. A sub-block is eight points of four codes of a grid of 256 (see
//! [`crate::codebook`]), a byte each, and a u32: seven signs for two points, where the eighth makes the number of minus
//! signs even, and the scale in the highest 4 bits. `w ~= d * (2 scale + 1) / 4 * value` with the values 4, 12, 20, 28,
//! 36, 44, 52, 62.
//!
//! Source: `block_iq3_xxs` of ggml-common.h. Bytes are compared with ggml's in `tests/golden.rs`.

use mc_tensor::convert::{f16_to_f32, f32_to_f16};

use crate::blocks::iq4_nl;
use crate::codebook;
use crate::codebook::lanes as grid_lanes;
use crate::codec::{Codec, Importance, Vector};
use crate::lanes::Simd;
use crate::lanes::blocks;
use crate::layouts::grid_runs::{self, Runs, Unpack};
use crate::rows::encode_blocks;
use crate::search::lattice::{self, Fit, Refine, SIGNED, Tries};
use crate::search::lattice_subs::{self, Counting, Plain, Search, Start};
use crate::search::super_blocks::{self, EncodeWindow, Window};

const LEN: usize = 256;
const SUB_LEN: usize = 32;
const N_SUBS: usize = LEN / SUB_LEN;
const SIGNS: usize = 2 + LEN / 4;
const BYTES: usize = SIGNS + 4 * N_SUBS;
const TRIES: Tries = Tries { n: 15, step: 0.2, refine: Refine::Between };
const COUNTING: Counting = Counting { sigma2_factor: 2.0, plain: Plain::Square };
const VALUES: [f32; 8] = [4.0, 12.0, 20.0, 28.0, 36.0, 44.0, 52.0, 62.0];
/// A group whose numbers are all below this counts as zero.
const GROUP_MAX_EPS: f32 = 1e-8;
/// A slightly larger scale reduces the rounding error of scales and points.
const FUDGE: f32 = 1.0125;

/// The codec.
pub static CODEC: Codec = Codec {
    name: "IQ3_XXS",
    version: 1,
    block_len: LEN,
    block_bytes: BYTES,
    fallback: Some(&iq4_nl::CODEC),
    importance: Importance::Expected,
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
    write_block(&lattice_subs::search_each(x, importance, COUNTING, search), block);
}

type Sub = lattice_subs::Sub<8, 4>;

/// Finds a sub-block's scale, points and signs; `None` if it is zero.
fn search(x: &[f32; SUB_LEN], weights: &[f32; SUB_LEN]) -> Option<Sub> {
    let signed = lattice::groups::<SIGNED, 4>(x).iter().zip(lattice::groups::<SIGNED, 4>(weights));
    let (mut magnitudes, mut signs) = ([[0.0; SIGNED]; 4], [0; 4]);
    for (i, (x, weights)) in signed.enumerate() {
        (magnitudes[i], signs[i]) = lattice::split_even_signs(x, weights);
    }
    let magnitudes = lattice::groups::<4, 8>(magnitudes.as_flattened());
    let max = lattice::max(magnitudes.as_flattened());
    if max < GROUP_MAX_EPS {
        return None;
    }
    let Fit { scale, points } =
        lattice::fit(&codebook::IQ3_XXS, magnitudes, lattice::groups(weights), max / 15.0, max, &TRIES);
    Some(Sub { scale, points, signs })
}

fn write_block(subs: &[Option<Sub>; N_SUBS], block: &mut [u8; BYTES]) {
    block.fill(0);
    let mut scales = [0.0_f32; N_SUBS];
    for (sub, found) in subs.iter().enumerate() {
        let Some(Sub { scale, points, signs }) = found else {
            continue;
        };
        scales[sub] = scale.abs();
        block[2 + 8 * sub..][..8].copy_from_slice(&points.map(|point_idx| point_idx as u8));
        let flip = if *scale < 0.0 { 127 } else { 0 };
        let mut word = 0;
        for (i, signs) in signs.iter().enumerate() {
            word |= u32::from(signs ^ flip) << (7 * i);
        }
        block[SIGNS + 4 * sub..][..4].copy_from_slice(&word.to_le_bytes());
    }
    let max_scale = lattice::max(&scales);
    if max_scale == 0.0 {
        block.fill(0);
        return;
    }
    let d = max_scale / 31.0;
    block[..2].copy_from_slice(&f32_to_f16(d * FUDGE).to_le_bytes());
    let inverse = 1.0 / d;
    for (scale, bytes) in scales.iter().zip(block[SIGNS..].as_chunks_mut::<4>().0) {
        bytes[3] |= lattice::scale_code(*scale, inverse, 15) << 4;
    }
}

/// [`encode_row`] and [`decode_row`] in lanes.
struct Block;

impl EncodeWindow<LEN, BYTES> for Block {
    #[inline(always)]
    fn encode<S: Simd>(window: &Window<'_>, blocks: &mut [[u8; BYTES]]) {
        let search = Search {
            near: &grid_lanes::IQ3_XXS,
            tries: TRIES,
            counting: COUNTING,
            has_even_signs: true,
            max_eps: GROUP_MAX_EPS,
            start: Start::Largest(15.0),
        };
        lattice_subs::encode::<S, 4, 8, SUB_LEN, 4, N_SUBS, BYTES>(&search, window, blocks, write_block);
    }
}

fn decode_row(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<BYTES>().0.iter().zip(out.as_chunks_mut::<LEN>().0) {
        let d = f16_to_f32(u16::from_le_bytes([block[0], block[1]]));
        for (i, (points, out)) in
            block[2..SIGNS].as_chunks::<2>().0.iter().zip(out.as_chunks_mut::<SIGNED>().0).enumerate()
        {
            let bytes = block[SIGNS..].as_chunks::<4>().0[i / 4];
            let scale = d * (0.5 + f32::from(bytes[3] >> 4)) * 0.5;
            let signs = lattice::even_signs((u32::from_le_bytes(bytes) >> (7 * (i % 4))) as u8 & 127);
            let codes = points.map(|point_idx| codebook::IQ3_XXS.point(u16::from(point_idx)));
            for (j, out) in out.iter_mut().enumerate() {
                let value = VALUES[usize::from(codes[j / 4][j % 4])];
                *out = scale * value * lattice::sign(signs, j);
            }
        }
    }
}

impl Unpack<BYTES> for Block {
    #[inline(always)]
    fn unpack(block: &[u8; BYTES], runs: &mut Runs) {
        let d = f16_to_f32(u16::from_le_bytes([block[0], block[1]]));
        let grid = &*codebook::IQ3_XXS;
        let points = block[2..SIGNS].as_chunks::<8>().0;
        for (sub, (points, bytes)) in points.iter().zip(block[SIGNS..].as_chunks::<4>().0).enumerate() {
            let scale = d * (0.5 + f32::from(bytes[3] >> 4)) * 0.5;
            let signs = grid_runs::even_signs(u32::from_le_bytes(*bytes));
            for half in 0..2 {
                let run = 2 * sub + half;
                runs.scales[run] = scale;
                runs.signs[run] = (signs >> (16 * half)) as u16;
                for (codes, point_idx) in
                    runs.codes[run].as_chunks_mut().0.iter_mut().zip(&points[4 * half..])
                {
                    *codes = *grid.point(u16::from(*point_idx));
                }
            }
        }
    }

    #[inline(always)]
    fn values<S: Simd>(codes: S::I) -> S::I {
        // 4, 12, 20, ...; the last one is larger by two.
        let last = S::shr::<3>(codes + S::splat_i(1));
        S::shl::<3>(codes) + S::splat_i(4) + last + last
    }
}
