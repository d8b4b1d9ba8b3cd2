//! IQ3_S: 256 weights in 110 bytes, 3.4375 bits per weight.
//!
//! Eight sub-blocks of 32 weights with 4-bit scales under one f16 number. A sub-block is eight points of four codes of a
//! grid of 512 (see [`crate::codebook`]). 64 bytes hold the lower 8 bits of the points, eight the upper bits, 32 the signs
//! of all weights, four the scales. `w ~= d * (2 scale + 1) * (2 l + 1)` for the code `l`.
//!
//! If all weights of a sub-block are zero, the reference reserves no space for its points and signs: those of the
//! following sub-blocks move up, but their scales and the upper bits of their points do not, so that they decode
//! wrongly. This is kept, because the bytes must equal ggml's.
//!
//! Source: `block_iq3_s` of ggml-common.h. Bytes are compared with ggml's in `tests/golden.rs`.

use mc_tensor::convert::{f16_to_f32, f32_to_f16};

use crate::blocks::iq4_nl;
use crate::codebook;
use crate::codebook::lanes as grid_lanes;
use crate::codec::{Codec, Importance, Vector};
use crate::lanes::Simd;
use crate::lanes::blocks;
use crate::layouts::grid_runs::{Runs, Unpack};
use crate::rows::encode_blocks;
use crate::search::lattice::{self, Fit, Refine, SIGNED, Tries};
use crate::search::lattice_subs::{self, Counting, Plain, Search, Start};
use crate::search::super_blocks::{self, EncodeWindow, Window};

const LEN: usize = 256;
const SUB_LEN: usize = 32;
const N_SUBS: usize = LEN / SUB_LEN;
const N_POINTS: usize = LEN / 4;
const HIGH: usize = 2 + N_POINTS;
const SIGNS: usize = HIGH + N_POINTS / 8;
const SCALES: usize = SIGNS + LEN / SIGNED;
const BYTES: usize = SCALES + N_SUBS / 2;
const TRIES: Tries = Tries { n: 9, step: 0.2, refine: Refine::AllIfBetween };
const COUNTING: Counting = Counting { sigma2_factor: 2.0, plain: Plain::Square };
/// A slightly larger scale reduces the rounding error of scales and points.
const FUDGE: f32 = 1.033;

/// The codec.
pub static CODEC: Codec = Codec {
    name: "IQ3_S",
    version: 1,
    block_len: LEN,
    block_bytes: BYTES,
    fallback: Some(&iq4_nl::CODEC),
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
    write_block(&lattice_subs::search_each(x, importance, COUNTING, search), block);
}

type Sub = lattice_subs::Sub<8, 4>;

/// Finds a sub-block's scale, points and signs; `None` if it is zero.
fn search(x: &[f32; SUB_LEN], weights: &[f32; SUB_LEN]) -> Option<Sub> {
    let split = lattice::groups::<SIGNED, 4>(x).map(|x| lattice::split_signs(&x));
    let magnitudes = split.map(|(magnitudes, _)| magnitudes);
    let magnitudes = lattice::groups::<4, 8>(magnitudes.as_flattened());
    let max = lattice::max(magnitudes.as_flattened());
    if max == 0.0 {
        return None;
    }
    let Fit { scale, points } =
        lattice::fit(&codebook::IQ3_S, magnitudes, lattice::groups(weights), max / 15.0, max, &TRIES);
    Some(Sub { scale, points, signs: split.map(|(_, signs)| signs) })
}

fn write_block(subs: &[Option<Sub>; N_SUBS], block: &mut [u8; BYTES]) {
    block.fill(0);
    let mut scales = [0.0_f32; N_SUBS];
    let mut n_written = 0;
    for (sub, found) in subs.iter().enumerate() {
        let Some(Sub { scale, points, signs }) = found else {
            continue;
        };
        scales[sub] = scale.abs();
        for (i, point_idx) in points.iter().enumerate() {
            block[2 + 8 * n_written + i] = *point_idx as u8;
            block[HIGH + sub] |= ((point_idx >> 8) as u8) << i;
        }
        let flip = if *scale < 0.0 { 255 } else { 0 };
        block[SIGNS + 4 * n_written..][..4].copy_from_slice(&signs.map(|signs| signs ^ flip));
        n_written += 1;
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
            near: &grid_lanes::IQ3_S,
            tries: TRIES,
            counting: COUNTING,
            has_even_signs: false,
            max_eps: 0.0,
            start: Start::Largest(15.0),
        };
        lattice_subs::encode::<S, 4, 8, SUB_LEN, 4, N_SUBS, BYTES>(&search, window, blocks, write_block);
    }
}

fn decode_row(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<BYTES>().0.iter().zip(out.as_chunks_mut::<LEN>().0) {
        let d = f16_to_f32(u16::from_le_bytes([block[0], block[1]]));
        for (i, out) in out.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let sub = i / 8;
            let scale = block[SCALES + sub / 2] >> (4 * (sub % 2)) & 15;
            let scale = d * f32::from(1 + 2 * scale);
            let high = block[HIGH + sub] >> (i % 8) & 1;
            let codes = codebook::IQ3_S.point(u16::from_le_bytes([block[2 + i], high]));
            let signs = block[SIGNS + i / 2] >> (4 * (i % 2));
            for (j, (out, code)) in out.iter_mut().zip(codes).enumerate() {
                *out = scale * lattice::magnitude(*code) * lattice::sign(signs, j);
            }
        }
    }
}

impl Unpack<BYTES> for Block {
    #[inline(always)]
    fn unpack(block: &[u8; BYTES], runs: &mut Runs) {
        let d = f16_to_f32(u16::from_le_bytes([block[0], block[1]]));
        let grid = &*codebook::IQ3_S;
        for run in 0..2 * N_SUBS {
            let sub = run / 2;
            let scale = block[SCALES + sub / 2] >> (4 * (sub % 2)) & 15;
            runs.scales[run] = d * f32::from(1 + 2 * scale);
            runs.signs[run] = u16::from_le_bytes([block[SIGNS + 2 * run], block[SIGNS + 2 * run + 1]]);
            let high = block[HIGH + sub] >> (4 * (run % 2));
            for (i, codes) in runs.codes[run].as_chunks_mut().0.iter_mut().enumerate() {
                *codes = *grid.point(u16::from_le_bytes([block[2 + 4 * run + i], high >> i & 1]));
            }
        }
    }

    #[inline(always)]
    fn values<S: Simd>(codes: S::I) -> S::I {
        codes + codes + S::splat_i(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_after_a_sub_block_of_zeros_move_up() {
        let mut row = [0.0; LEN];
        for (i, x) in row[SUB_LEN..2 * SUB_LEN].iter_mut().enumerate() {
            *x = i as f32 - 11.5;
        }
        let mut block = [0; BYTES];
        encode_row(&row, None, &mut block);
        row.rotate_left(SUB_LEN);
        let mut moved = [0; BYTES];
        encode_row(&row, None, &mut moved);
        // As in ggml: the second sub-block decodes to the points of the third, which are zero.
        assert_ne!(block[2..10], [0; 8]);
        assert_eq!(block[2..HIGH], moved[2..HIGH]);
        assert_eq!(block[SIGNS..SCALES], moved[SIGNS..SCALES]);
        assert_eq!(block[HIGH + 1], moved[HIGH]);
    }
}
