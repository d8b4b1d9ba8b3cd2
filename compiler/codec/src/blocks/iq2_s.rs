//! IQ2_S: 256 weights in 82 bytes, 2.5625 bits per weight.
//!
//! Sixteen sub-blocks of 16 weights with 4-bit scales under one f16 number. A sub-block is two points of a grid of 1024
//! (see [`crate::grid`]), each with a byte of signs. 32 bytes hold the lower 8 bits of the points, 32 the signs, eight
//! the upper 2 bits of the points. `w ~= d * (2 scale + 1) / 8 * value` with the values 8, 25, 43 for the codes 0, 1, 2.
//!
//! Source: `block_iq2_s` of ggml-common.h. Bytes are compared with ggml's in `tests/golden.rs`.

use mc_tensor::convert::{f16_to_f32, f32_to_f16};
use mc_tensor::cpu_path::CpuPath;

use crate::blocks::iq4_nl;
use crate::codec::{Codec, Importance, Rows, Vector};
use crate::grid;
use crate::grid::lanes as grid_lanes;
use crate::lanes::blocks;
use crate::lanes::{Kernel, Simd, dispatch};
use crate::layouts::grid_runs::{self, Runs, Unpack};
use crate::search::lattice::{self, Fit, Refine, SIGNED, Tries};
use crate::search::lattice_subs::{self, Plain, Search, Start};
use crate::search::{sum_of_squares, weigh};

const LEN: usize = 256;
const SUB_LEN: usize = 16;
const N_SUBS: usize = LEN / SUB_LEN;
const N_POINTS: usize = LEN / SIGNED;
const SIGNS: usize = 2 + N_POINTS;
const HIGH: usize = SIGNS + N_POINTS;
const SCALES: usize = HIGH + N_POINTS / 4;
const BYTES: usize = SCALES + N_SUBS / 2;
const TRIES: Tries = Tries { n: 9, step: 0.1, refine: Refine::Between };
/// Below this a group of numbers counts as zero.
const GROUP_MAX_EPS: f32 = 1e-8;
/// The rounding of scales and points loses less under a slightly smaller scale.
const FUDGE: f32 = 0.9875;

/// The codec.
pub static CODEC: Codec = Codec {
    name: "IQ2_S",
    version: 1,
    wire_id: 22,
    block_len: LEN,
    block_bytes: BYTES,
    fallback: Some(&iq4_nl::CODEC),
    importance: Importance::Expected,
    encode_row,
    decode_row,
    vector: Vector { encode: Some(encode_vector), decode: Some(blocks::decode::<Block, LEN, BYTES>) },
};

fn encode_row(row: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
    let importance = importance.map(|weights| weights.as_chunks::<LEN>().0);
    for (block_idx, (x, block)) in
        row.as_chunks::<LEN>().0.iter().zip(out.as_chunks_mut::<BYTES>().0).enumerate()
    {
        encode_block(x, importance.map(|weights| &weights[block_idx]), block);
    }
}

fn encode_block(x: &[f32; LEN], importance: Option<&[f32; LEN]>, block: &mut [u8; BYTES]) {
    let sigma2 = 2.0 * sum_of_squares(x) / LEN as f32;
    let mut subs = [None; N_SUBS];
    for (sub, x) in x.as_chunks::<SUB_LEN>().0.iter().enumerate() {
        let weights = match importance {
            Some(importance) => weigh(x, &importance.as_chunks::<SUB_LEN>().0[sub], sigma2),
            None => x.map(|x| 0.25 * sigma2 + x * x),
        };
        subs[sub] = search(x, &weights);
    }
    write_block(&subs, block);
}

type Sub = lattice_subs::Sub<2, 2>;

/// What is found for a sub-block, if it is not zero.
fn search(x: &[f32; SUB_LEN], weights: &[f32; SUB_LEN]) -> Option<Sub> {
    let split: [_; 2] = std::array::from_fn(|i| lattice::split_signs(&x.as_chunks::<SIGNED>().0[i]));
    let magnitudes = split.map(|(magnitudes, _)| magnitudes);
    let max = lattice::max(magnitudes.as_flattened());
    if max < GROUP_MAX_EPS {
        return None;
    }
    let Fit { scale, points } =
        lattice::fit(&grid::IQ2_S, &magnitudes, lattice::groups(weights), max / 5.0, max, &TRIES);
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

fn encode_vector(path: CpuPath, rows: &Rows<'_>, out: &mut [u8]) -> bool {
    dispatch::run(path, Encode { rows, out })
}

struct Encode<'a> {
    rows: &'a Rows<'a>,
    out: &'a mut [u8],
}

impl Kernel for Encode<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let search = Search {
            near: &grid_lanes::IQ2_S,
            tries: TRIES,
            sigma2_factor: 2.0,
            plain: Plain::SquareAndMean,
            has_even_signs: false,
            max_eps: GROUP_MAX_EPS,
            start: Start::Largest(5.0),
        };
        lattice_subs::encode::<S, 8, 2, SUB_LEN, 2, N_SUBS, BYTES>(&search, self.rows, self.out, write_block);
    }
}

fn decode_row(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<BYTES>().0.iter().zip(out.as_chunks_mut::<LEN>().0) {
        let d = f16_to_f32(u16::from_le_bytes([block[0], block[1]]));
        for (i, out) in out.as_chunks_mut::<SIGNED>().0.iter_mut().enumerate() {
            let high = block[HIGH + i / 4] >> (2 * (i % 4)) & 3;
            let point_idx = u16::from_le_bytes([block[2 + i], high]);
            let scale = lattice::decode_scale(d, &block[SCALES..], i / 2);
            lattice::decode_2_bit(grid::IQ2_S.point(point_idx), scale, block[SIGNS + i], out);
        }
    }
}

/// [`decode_row`] by runs.
struct Block;

impl Unpack<BYTES> for Block {
    #[inline(always)]
    fn unpack(block: &[u8; BYTES], runs: &mut Runs) {
        let d = f16_to_f32(u16::from_le_bytes([block[0], block[1]]));
        let grid = &*grid::IQ2_S;
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
