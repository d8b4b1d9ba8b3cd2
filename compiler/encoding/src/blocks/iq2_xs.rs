//! IQ2_XS: 256 weights in 74 bytes, 2.3125 bits per weight.
//!
//! Sixteen sub-blocks of 16 weights with 4-bit scales under one f16 number. A sub-block is two points of a grid of 512
//! (see [`crate::codebook`]), each a u16: the index of the point in the lower 9 bits and seven signs above; the eighth
//! sign makes the number of minus signs even. `w ~= d * (2 scale + 1) / 8 * value` with the values 8, 25, 43 for the
//! codes 0, 1, 2.
//!
//! Source: `block_iq2_xs` of ggml-common.h. Bytes are compared with ggml's in `tests/golden.rs`.

use mc_tensor::convert::{f16_to_f32, f32_to_f16};

use crate::blocks::iq4_nl;
use crate::codebook;
use crate::codebook::lanes as grid_lanes;
use crate::codec::{Codec, Importance, Vector};
use crate::lanes::Simd;
use crate::lanes::blocks;
use crate::layouts::grid_runs::{self, Runs, Unpack};
use crate::rows::encode_blocks;
use crate::search::GROUP_MAX_EPS;
use crate::search::lattice::{self, Fit, Refine, Tries};
use crate::search::lattice_subs::{self, Counting, Plain, Search, Start};
use crate::search::super_blocks::{self, EncodeWindow, Window};

const LEN: usize = 256;
const SUB_LEN: usize = 16;
const N_SUBS: usize = LEN / SUB_LEN;
const SUB_BYTES: usize = 4;
const SCALES: usize = 2 + N_SUBS * SUB_BYTES;
const BYTES: usize = SCALES + N_SUBS / 2;
const TRIES: Tries = Tries { n: 9, step: 0.1, refine: Refine::Between };
const COUNTING: Counting = Counting { sigma2_factor: 1.0, plain: Plain::Square };

/// The codec.
pub static CODEC: Codec = Codec {
    name: "IQ2_XS",
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
    let importance = importance.expect("`IQ2_XS` cannot be encoded without importance");
    encode_blocks(row, Some(importance), out, encode_block);
}

fn encode_block(x: &[f32; LEN], importance: Option<&[f32; LEN]>, block: &mut [u8; BYTES]) {
    write_block(&lattice_subs::search_each(x, importance, COUNTING, search), block);
}

type Sub = lattice_subs::Sub<2, 2>;

/// Finds a sub-block's scale, points and signs; `None` if it is zero.
fn search(x: &[f32; SUB_LEN], weights: &[f32; SUB_LEN]) -> Option<Sub> {
    let (x, weights) = (lattice::groups::<8, 2>(x), lattice::groups::<8, 2>(weights));
    let split: [_; 2] = std::array::from_fn(|i| lattice::split_even_signs(&x[i], &weights[i]));
    let magnitudes = split.map(|(magnitudes, _)| magnitudes);
    let max = lattice::max(magnitudes.as_flattened());
    if max < GROUP_MAX_EPS {
        return None;
    }
    let Fit { scale, points } = lattice::fit(&codebook::IQ2_XS, &magnitudes, weights, max / 5.0, max, &TRIES);
    Some(Sub { scale, points, signs: split.map(|(_, signs)| signs) })
}

fn write_block(subs: &[Option<Sub>; N_SUBS], block: &mut [u8; BYTES]) {
    block.fill(0);
    let mut scales = [0.0_f32; N_SUBS];
    let bytes = block[2..SCALES].as_chunks_mut::<SUB_BYTES>().0;
    for ((scale_of_sub, found), bytes) in scales.iter_mut().zip(subs).zip(bytes) {
        let Some(Sub { scale, points, signs }) = found else {
            continue;
        };
        *scale_of_sub = scale.abs();
        let flip = if *scale < 0.0 { 127 } else { 0 };
        for ((word, point_idx), signs) in bytes.as_chunks_mut::<2>().0.iter_mut().zip(points).zip(signs) {
            *word = (point_idx | u16::from(signs ^ flip) << 9).to_le_bytes();
        }
    }
    let max_scale = lattice::max(&scales);
    if max_scale == 0.0 {
        block.fill(0);
        return;
    }
    block[..2].copy_from_slice(&f32_to_f16(max_scale / 31.0).to_le_bytes());
    lattice::write_scale_codes(&scales, max_scale, &mut block[SCALES..]);
}

/// [`encode_row`] and [`decode_row`] in lanes.
struct Block;

impl EncodeWindow<LEN, BYTES> for Block {
    #[inline(always)]
    fn encode<S: Simd>(window: &Window<'_>, blocks: &mut [[u8; BYTES]]) {
        let search = Search {
            near: &grid_lanes::IQ2_XS,
            tries: TRIES,
            counting: COUNTING,
            has_even_signs: true,
            max_eps: GROUP_MAX_EPS,
            start: Start::Largest(5.0),
        };
        lattice_subs::encode::<S, 8, 2, SUB_LEN, 2, N_SUBS, BYTES>(&search, window, blocks, write_block);
    }
}

fn decode_row(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<BYTES>().0.iter().zip(out.as_chunks_mut::<LEN>().0) {
        let d = f16_to_f32(u16::from_le_bytes([block[0], block[1]]));
        let words = block[2..SCALES].as_chunks::<2>().0;
        for (i, (word, out)) in words.iter().zip(out.as_chunks_mut::<8>().0).enumerate() {
            let scale = lattice::decode_scale(d, &block[SCALES..], i / 2);
            let word = u16::from_le_bytes(*word);
            let signs = lattice::even_signs((word >> 9) as u8);
            lattice::decode_2_bit(codebook::IQ2_XS.point(word & 511), scale, signs, out);
        }
    }
}

impl Unpack<BYTES> for Block {
    #[inline(always)]
    fn unpack(block: &[u8; BYTES], runs: &mut Runs) {
        let d = f16_to_f32(u16::from_le_bytes([block[0], block[1]]));
        let grid = &*codebook::IQ2_XS;
        for (run, bytes) in block[2..SCALES].as_chunks::<SUB_BYTES>().0.iter().enumerate() {
            let [first, second] = [0, 2].map(|at| u16::from_le_bytes([bytes[at], bytes[at + 1]]));
            runs.scales[run] = lattice::decode_scale(d, &block[SCALES..], run);
            runs.signs[run] =
                grid_runs::even_signs(u32::from(first >> 9) | u32::from(second >> 9) << 7) as u16;
            runs.codes[run][..8].copy_from_slice(grid.point(first & 511));
            runs.codes[run][8..].copy_from_slice(grid.point(second & 511));
        }
    }

    #[inline(always)]
    fn values<S: Simd>(codes: S::I) -> S::I {
        grid_runs::two_bit_values::<S>(codes)
    }
}
