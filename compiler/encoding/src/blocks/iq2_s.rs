//! IQ2_S: 256 weights in 82 bytes, 2.5625 bits per weight.
//!
//! Sixteen sub-blocks of 16 weights with 4-bit scales under one f16 number. A sub-block is two points of a grid of 1024
//! (see [`crate::codebook`]), each with a byte of signs. 32 bytes hold the lower 8 bits of the points, 32 the signs, eight
//! the upper 2 bits of the points. `w ~= d * (2 scale + 1) / 8 * value` with the values 8, 25, 43 for the codes 0, 1, 2.
//!
//! Source: `block_iq2_s` of ggml-common.h. Bytes are compared with ggml's in `tests/golden.rs`.

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
const SUB_LEN: usize = 16;
const N_SUBS: usize = LEN / SUB_LEN;
const N_POINTS: usize = LEN / SIGNED;
const SIGNS: usize = 2 + N_POINTS;
const HIGH: usize = SIGNS + N_POINTS;
const SCALES: usize = HIGH + N_POINTS / 4;
const BYTES: usize = SCALES + N_SUBS / 2;
const TRIES: Tries = Tries { n: 9, step: 0.1, refine: Refine::Between };
const COUNTING: Counting = Counting { sigma2_factor: 2.0, plain: Plain::SquareAndMean };
/// A group whose numbers are all below this counts as zero.
const GROUP_MAX_EPS: f32 = 1e-8;
/// A slightly smaller scale reduces the rounding error of scales and points.
const FUDGE: f32 = 0.9875;

/// The codec.
pub static CODEC: Codec = Codec {
    name: "IQ2_S",
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

type Sub = lattice_subs::Sub<2, 2>;

/// Finds a sub-block's scale, points and signs; `None` if it is zero.
fn search(x: &[f32; SUB_LEN], weights: &[f32; SUB_LEN]) -> Option<Sub> {
    let split: [_; 2] = std::array::from_fn(|i| lattice::split_signs(&x.as_chunks::<SIGNED>().0[i]));
    let magnitudes = split.map(|(magnitudes, _)| magnitudes);
    let max = lattice::max(magnitudes.as_flattened());
    if max < GROUP_MAX_EPS {
        return None;
    }
    let Fit { scale, points } =
        lattice::fit(&codebook::IQ2_S, &magnitudes, lattice::groups(weights), max / 5.0, max, &TRIES);
    Some(Sub { scale, points, signs: split.map(|(_, signs)| signs) })
}

fn write_block(subs: &[Option<Sub>; N_SUBS], block: &mut [u8; BYTES]) {
    block.fill(0);
    let mut scales = [0.0_f32; N_SUBS];
    for (sub, found) in subs.iter().enumerate() {
        let Some(Sub { scale, points, signs }) = found else {
            continue;
        };
        scales[sub] = scale.abs();
        let flip = if *scale < 0.0 { 255 } else { 0 };
        for (i, (point_idx, signs)) in (2 * sub..).zip(points.iter().zip(signs)) {
            block[2 + i] = *point_idx as u8;
            block[SIGNS + i] = signs ^ flip;
            block[HIGH + i / 4] |= ((point_idx >> 8) as u8) << (2 * (i % 4));
        }
    }
    let max_scale = lattice::max(&scales);
    if max_scale != 0.0 {
        block[..2].copy_from_slice(&f32_to_f16(max_scale / 31.0 * FUDGE).to_le_bytes());
        lattice::write_scale_codes(&scales, max_scale, &mut block[SCALES..]);
    }
}

/// [`encode_row`] and [`decode_row`] in lanes.
struct Block;

impl EncodeWindow<LEN, BYTES> for Block {
    #[inline(always)]
    fn encode<S: Simd>(window: &Window<'_>, blocks: &mut [[u8; BYTES]]) {
        let search = Search {
            near: &grid_lanes::IQ2_S,
            tries: TRIES,
            counting: COUNTING,
            has_even_signs: false,
            max_eps: GROUP_MAX_EPS,
            start: Start::Largest(5.0),
        };
        lattice_subs::encode::<S, 8, 2, SUB_LEN, 2, N_SUBS, BYTES>(&search, window, blocks, write_block);
    }
}

fn decode_row(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<BYTES>().0.iter().zip(out.as_chunks_mut::<LEN>().0) {
        let d = f16_to_f32(u16::from_le_bytes([block[0], block[1]]));
        for (i, out) in out.as_chunks_mut::<SIGNED>().0.iter_mut().enumerate() {
            let high = block[HIGH + i / 4] >> (2 * (i % 4)) & 3;
            let point_idx = u16::from_le_bytes([block[2 + i], high]);
            let scale = lattice::decode_scale(d, &block[SCALES..], i / 2);
            lattice::decode_2_bit(codebook::IQ2_S.point(point_idx), scale, block[SIGNS + i], out);
        }
    }
}

impl Unpack<BYTES> for Block {
    #[inline(always)]
    fn unpack(block: &[u8; BYTES], runs: &mut Runs) {
        let d = f16_to_f32(u16::from_le_bytes([block[0], block[1]]));
        let grid = &*codebook::IQ2_S;
        for run in 0..N_SUBS {
            runs.scales[run] = lattice::decode_scale(d, &block[SCALES..], run);
            runs.signs[run] = u16::from_le_bytes([block[SIGNS + 2 * run], block[SIGNS + 2 * run + 1]]);
            let high = block[HIGH + run / 2] >> (4 * (run % 2));
            let first = u16::from_le_bytes([block[2 + 2 * run], high & 3]);
            let second = u16::from_le_bytes([block[3 + 2 * run], high >> 2 & 3]);
            runs.codes[run][..SIGNED].copy_from_slice(grid.point(first));
            runs.codes[run][SIGNED..].copy_from_slice(grid.point(second));
        }
    }

    #[inline(always)]
    fn values<S: Simd>(codes: S::I) -> S::I {
        grid_runs::two_bit_values::<S>(codes)
    }
}
