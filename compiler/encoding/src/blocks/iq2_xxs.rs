//! IQ2_XXS: 256 weights in 66 bytes, 2.0625 bits per weight.
//!
//! Eight sub-blocks of 32 weights under one f16 number. A sub-block is four points of a grid of 256 (see
//! [`crate::codebook`]), a byte each, and a u32: seven signs per point, where the eighth makes the number of minus
//! signs even, and the scale in the highest 4 bits. `w ~= d * (2 scale + 1) / 8 * value` with the values 8, 25, 43 for
//! the codes 0, 1, 2.
//!
//! Source: `block_iq2_xxs` of ggml-common.h. Bytes are compared with ggml's in `tests/golden.rs`.

use mc_tensor::convert::{f16_to_f32, f32_to_f16};

use crate::blocks::iq4_nl;
use crate::codebook;
use crate::codebook::lanes as grid_lanes;
use crate::codec::{Codec, Importance, Vector};
use crate::lanes::Simd;
use crate::lanes::blocks;
use crate::layouts::grid_runs::{self, Runs, Unpack};
use crate::rows::encode_blocks;
use crate::search::lattice::{self, Fit, Refine, Tries};
use crate::search::lattice_subs::{self, Counting, Plain, Search, Start};
use crate::search::super_blocks::{self, EncodeWindow, Window};
use crate::search::{GROUP_MAX_EPS, positive};

const LEN: usize = 256;
const SUB_LEN: usize = 32;
const N_SUBS: usize = LEN / SUB_LEN;
const SUB_BYTES: usize = 8;
const BYTES: usize = 2 + N_SUBS * SUB_BYTES;
const TRIES: Tries = Tries { n: 6, step: 0.1, refine: Refine::All };
const COUNTING: Counting = Counting { sigma2_factor: 1.0, plain: Plain::Square };

/// The codec.
pub static CODEC: Codec = Codec {
    name: "IQ2_XXS",
    version: 1,
    block_len: LEN,
    block_bytes: BYTES,
    fallback: Some(&iq4_nl::CODEC),
    importance: Importance::Required,
    encode_row,
    decode_row,
    vector: Vector {
        encode: Some(super_blocks::encode::<Block, LEN, BYTES>),
        decode: Some(blocks::decode::<Block, LEN, BYTES>),
    },
};

fn encode_row(row: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
    let importance = importance.expect("`IQ2_XXS` cannot be encoded without importance");
    encode_blocks(row, Some(importance), out, encode_block);
}

fn encode_block(x: &[f32; LEN], importance: Option<&[f32; LEN]>, block: &mut [u8; BYTES]) {
    write_block(&lattice_subs::search_each(x, importance, COUNTING, search), block);
}

type Sub = lattice_subs::Sub<4, 4>;

/// Finds a sub-block's scale, points and signs; `None` if it is zero.
fn search(x: &[f32; SUB_LEN], weights: &[f32; SUB_LEN]) -> Option<Sub> {
    let (x, group_weights) = (lattice::groups::<8, 4>(x), lattice::groups::<8, 4>(weights));
    let split: [_; 4] = std::array::from_fn(|i| lattice::split_even_signs(&x[i], &group_weights[i]));
    let magnitudes = split.map(|(magnitudes, _)| magnitudes);
    let flat = magnitudes.as_flattened().first_chunk::<SUB_LEN>().expect("four groups of eight");
    if lattice::max(flat) < GROUP_MAX_EPS {
        return None;
    }
    let start = positive(flat, 4, weights, &mut [0; SUB_LEN]);
    let range = start * 3.0;
    if range.is_nan() || range <= 0.0 {
        return None;
    }
    let Fit { scale, points } =
        lattice::fit(&codebook::IQ2_XXS, &magnitudes, group_weights, start, range, &TRIES);
    Some(Sub { scale, points, signs: split.map(|(_, signs)| signs) })
}

fn write_block(subs: &[Option<Sub>; N_SUBS], block: &mut [u8; BYTES]) {
    block.fill(0);
    let mut scales = [0.0_f32; N_SUBS];
    let bytes = block[2..].as_chunks_mut::<SUB_BYTES>().0;
    for ((scale_of_sub, found), bytes) in scales.iter_mut().zip(subs).zip(bytes) {
        let Some(Sub { scale, points, signs }) = found else {
            continue;
        };
        *scale_of_sub = scale.abs();
        let flip = if *scale < 0.0 { 127 } else { 0 };
        let mut word = 0;
        for (i, (point_idx, signs)) in points.iter().zip(signs).enumerate() {
            bytes[i] = *point_idx as u8;
            word |= u32::from(signs ^ flip) << (7 * i);
        }
        bytes[4..].copy_from_slice(&word.to_le_bytes());
    }
    let max_scale = lattice::max(&scales);
    if max_scale == 0.0 {
        block.fill(0);
        return;
    }
    let d = max_scale / 31.0;
    block[..2].copy_from_slice(&f32_to_f16(d).to_le_bytes());
    let inverse = 1.0 / d;
    for (scale, bytes) in scales.iter().zip(block[2..].as_chunks_mut::<SUB_BYTES>().0) {
        bytes[7] |= lattice::scale_code(*scale, inverse, 15) << 4;
    }
}

/// [`encode_row`] and [`decode_row`] in lanes.
struct Block;

impl EncodeWindow<LEN, BYTES> for Block {
    #[inline(always)]
    fn encode<S: Simd>(window: &Window<'_>, blocks: &mut [[u8; BYTES]]) {
        let search = Search {
            near: &grid_lanes::IQ2_XXS,
            tries: TRIES,
            counting: COUNTING,
            has_even_signs: true,
            max_eps: GROUP_MAX_EPS,
            start: Start::Positive,
        };
        lattice_subs::encode::<S, 8, 4, SUB_LEN, 4, N_SUBS, BYTES>(&search, window, blocks, write_block);
    }
}

fn decode_row(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<BYTES>().0.iter().zip(out.as_chunks_mut::<LEN>().0) {
        let d = f16_to_f32(u16::from_le_bytes([block[0], block[1]]));
        for (bytes, out) in block[2..].as_chunks::<SUB_BYTES>().0.iter().zip(out.as_chunks_mut::<SUB_LEN>().0)
        {
            let scale = d * (0.5 + f32::from(bytes[7] >> 4)) * 0.25;
            let signs = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
            for (i, out) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
                let signs = lattice::even_signs((signs >> (7 * i)) as u8 & 127);
                lattice::decode_2_bit(codebook::IQ2_XXS.point(u16::from(bytes[i])), scale, signs, out);
            }
        }
    }
}

impl Unpack<BYTES> for Block {
    #[inline(always)]
    fn unpack(block: &[u8; BYTES], runs: &mut Runs) {
        let d = f16_to_f32(u16::from_le_bytes([block[0], block[1]]));
        let grid = &*codebook::IQ2_XXS;
        for (sub, bytes) in block[2..].as_chunks::<SUB_BYTES>().0.iter().enumerate() {
            let scale = d * (0.5 + f32::from(bytes[7] >> 4)) * 0.25;
            let signs = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
            let signs = grid_runs::even_signs(signs);
            for half in 0..2 {
                let run = 2 * sub + half;
                runs.scales[run] = scale;
                runs.signs[run] = (signs >> (16 * half)) as u16;
                let (first, second) = (bytes[2 * half], bytes[2 * half + 1]);
                runs.codes[run][..8].copy_from_slice(grid.point(u16::from(first)));
                runs.codes[run][8..].copy_from_slice(grid.point(u16::from(second)));
            }
        }
    }

    #[inline(always)]
    fn values<S: Simd>(codes: S::I) -> S::I {
        grid_runs::two_bit_values::<S>(codes)
    }
}
