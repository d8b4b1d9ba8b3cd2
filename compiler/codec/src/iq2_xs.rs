//! IQ2_XS: 256 weights in 74 bytes, 2.3125 bits per weight.
//!
//! Sixteen sub-blocks of 16 weights with 4-bit scales under one f16 number. A sub-block is two points of a grid of 512
//! (see [`crate::grid`]), each a u16: the index of the point in the lower 9 bits, seven signs above, of which the
//! eighth makes their number even. `w ~= d * (2 scale + 1) / 8 * value` with the values 8, 25, 43 for the codes 0, 1, 2.
//!
//! Source: `block_iq2_xs` of ggml-common.h. Bytes are compared with ggml's in `tests/golden.rs`.

use mc_tensor::convert::{f16_to_f32, f32_to_f16};
use mc_tensor::cpu_path::CpuPath;

use crate::codec::{Codec, Importance, Vector};
use crate::grid;
use crate::grid_decode::{self, Runs, Unpack};
use crate::iq4_nl;
use crate::lanes::Simd;
use crate::lattice::{self, Fit, Refine, Tries};
use crate::search::{GROUP_MAX_EPS, sum_of_squares, weigh};

const LEN: usize = 256;
const SUB_LEN: usize = 16;
const N_SUBS: usize = LEN / SUB_LEN;
const SUB_BYTES: usize = 4;
const SCALES: usize = 2 + N_SUBS * SUB_BYTES;
const BYTES: usize = SCALES + N_SUBS / 2;
const TRIES: Tries = Tries { n: 9, step: 0.1, refine: Refine::Between };

/// The codec.
pub static CODEC: Codec = Codec {
    name: "IQ2_XS",
    version: 1,
    wire_id: 17,
    block_len: LEN,
    block_bytes: BYTES,
    fallback: Some(&iq4_nl::CODEC),
    importance: Importance::Required,
    encode_row,
    decode_row,
    vector: Vector { encode: None, decode: Some(decode_vector) },
};

fn encode_row(row: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
    let importance = importance.expect("`IQ2_XS` cannot be encoded without importance");
    let blocks = row.as_chunks::<LEN>().0.iter().zip(importance.as_chunks::<LEN>().0);
    for ((x, importance), block) in blocks.zip(out.as_chunks_mut::<BYTES>().0) {
        encode_block(x, importance, block);
    }
}

fn encode_block(x: &[f32; LEN], importance: &[f32; LEN], block: &mut [u8; BYTES]) {
    block.fill(0);
    let sigma2 = sum_of_squares(x) / LEN as f32;
    let mut scales = [0.0_f32; N_SUBS];
    let subs = x.as_chunks::<SUB_LEN>().0.iter().zip(importance.as_chunks::<SUB_LEN>().0);
    for ((scale, (x, importance)), bytes) in
        scales.iter_mut().zip(subs).zip(block[2..SCALES].as_chunks_mut::<SUB_BYTES>().0)
    {
        *scale = encode_sub(x, &weigh(x, importance, sigma2), bytes);
    }
    let max_scale = lattice::max(&scales);
    if max_scale == 0.0 {
        block.fill(0);
        return;
    }
    block[..2].copy_from_slice(&f32_to_f16(max_scale / 31.0).to_le_bytes());
    lattice::write_scale_codes(&scales, max_scale, &mut block[SCALES..]);
}

/// Writes points and signs of a sub-block; returns its scale.
fn encode_sub(x: &[f32; SUB_LEN], weights: &[f32; SUB_LEN], bytes: &mut [u8; SUB_BYTES]) -> f32 {
    let (x, weights) = (lattice::groups::<8, 2>(x), lattice::groups::<8, 2>(weights));
    let split: [_; 2] = std::array::from_fn(|i| lattice::split_even_signs(&x[i], &weights[i]));
    let magnitudes = split.map(|(magnitudes, _)| magnitudes);
    let max = lattice::max(magnitudes.as_flattened());
    if max < GROUP_MAX_EPS {
        return 0.0;
    }
    let Fit { scale, points } = lattice::fit(&grid::IQ2_XS, &magnitudes, weights, max / 5.0, max, &TRIES);
    let flip = if scale < 0.0 { 127 } else { 0 };
    for ((word, point_idx), (_, signs)) in bytes.as_chunks_mut::<2>().0.iter_mut().zip(points).zip(split) {
        *word = (point_idx | u16::from(signs ^ flip) << 9).to_le_bytes();
    }
    scale.abs()
}

fn decode_row(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<BYTES>().0.iter().zip(out.as_chunks_mut::<LEN>().0) {
        let d = f16_to_f32(u16::from_le_bytes([block[0], block[1]]));
        let words = block[2..SCALES].as_chunks::<2>().0;
        for (i, (word, out)) in words.iter().zip(out.as_chunks_mut::<8>().0).enumerate() {
            let scale = lattice::decode_scale(d, &block[SCALES..], i / 2);
            let word = u16::from_le_bytes(*word);
            let signs = lattice::even_signs((word >> 9) as u8);
            lattice::decode_2_bit(grid::IQ2_XS.point(word & 511), scale, signs, out);
        }
    }
}

fn decode_vector(path: CpuPath, blocks: &[u8], out: &mut [f32]) -> bool {
    grid_decode::decode::<Block, BYTES>(path, blocks, out)
}

/// [`decode_row`] by runs.
struct Block;

impl Unpack<BYTES> for Block {
    #[inline(always)]
    fn unpack(block: &[u8; BYTES], runs: &mut Runs) {
        let d = f16_to_f32(u16::from_le_bytes([block[0], block[1]]));
        let grid = &*grid::IQ2_XS;
        for (run, bytes) in block[2..SCALES].as_chunks::<SUB_BYTES>().0.iter().enumerate() {
            let [first, second] = [0, 2].map(|at| u16::from_le_bytes([bytes[at], bytes[at + 1]]));
            runs.scales[run] = lattice::decode_scale(d, &block[SCALES..], run);
            runs.signs[run] =
                grid_decode::even_signs(u32::from(first >> 9) | u32::from(second >> 9) << 7) as u16;
            runs.codes[run][..8].copy_from_slice(grid.point(first & 511));
            runs.codes[run][8..].copy_from_slice(grid.point(second & 511));
        }
    }

    #[inline(always)]
    fn values<S: Simd>(codes: S::I) -> S::I {
        grid_decode::two_bit_values::<S>(codes)
    }
}
