//! IQ1_S: 256 weights in 50 bytes, 1.5625 bits per weight.
//!
//! Eight sub-blocks of 32 weights under one f16 number. A sub-block is four points of a grid of 2048 (see
//! [`crate::grid`]): four bytes of their lower 8 bits, and a u16 of 3 upper bits each, a 3-bit scale and whether the
//! values are moved down. `w ~= d * (2 scale + 1) * (q - 1 +- 1/8)` for the code `q`.
//!
//! Source: `block_iq1_s` of ggml-common.h. Bytes are compared with ggml's in `tests/golden.rs`.

use mc_tensor::convert::{f16_to_f32, f32_to_f16};

use crate::blocks::{self, DecodeBlock};
use crate::codec::{Codec, Importance, Vector};
use crate::iq1::{self, Best, DOWN, GROUP, UP, values};
use crate::iq4_nl;
use crate::lanes::Simd;
use crate::lattice::{groups, max, scale_code};
use crate::search::{sum_of_squares, weigh};

const LEN: usize = 256;
const SUB_LEN: usize = 32;
const N_SUBS: usize = LEN / SUB_LEN;
const HEADS: usize = 2 + LEN / GROUP;
const BYTES: usize = HEADS + 2 * N_SUBS;
/// Below this a group of numbers counts as zero.
const GROUP_MAX_EPS: f32 = 1e-12;
/// The rounding of scales and points loses less under a larger scale.
const FUDGE: f32 = 1.125;

/// The codec.
pub static CODEC: Codec = Codec {
    name: "IQ1_S",
    version: 1,
    wire_id: 19,
    block_len: LEN,
    block_bytes: BYTES,
    fallback: Some(&iq4_nl::CODEC),
    importance: Importance::Required,
    encode_row,
    decode_row,
    vector: Vector { encode: None, decode: Some(blocks::decode::<Block, LEN, BYTES>) },
};

fn encode_row(row: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
    let importance = importance.expect("`IQ1_S` cannot be encoded without importance");
    let blocks = row.as_chunks::<LEN>().0.iter().zip(importance.as_chunks::<LEN>().0);
    for ((x, importance), block) in blocks.zip(out.as_chunks_mut::<BYTES>().0) {
        encode_block(x, importance, block);
    }
}

struct Sub {
    points: [u16; 4],
    scale: f32,
    is_down: bool,
}

fn encode_block(x: &[f32; LEN], importance: &[f32; LEN], block: &mut [u8; BYTES]) {
    block.fill(0);
    let sigma2 = 2.0 * sum_of_squares(x) / LEN as f32;
    let (mut scales, mut heads) = ([0.0_f32; N_SUBS], [0_u16; N_SUBS]);
    let subs = x.as_chunks::<SUB_LEN>().0.iter().zip(importance.as_chunks::<SUB_LEN>().0);
    for (sub, (x, importance)) in subs.enumerate() {
        let Some(Sub { points, scale, is_down }) = encode_sub(x, &weigh(x, importance, sigma2)) else {
            continue;
        };
        scales[sub] = scale;
        heads[sub] = u16::from(is_down) << 15;
        for (i, point_idx) in points.into_iter().enumerate() {
            block[2 + 4 * sub + i] = point_idx as u8;
            heads[sub] |= (point_idx >> 8) << (3 * i);
        }
    }
    let max_scale = max(&scales);
    if max_scale == 0.0 {
        // What the points are does not matter then, but the reference leaves them.
        heads = heads.map(|head| head & 0x0fff);
    } else {
        let d = max_scale / 15.0;
        block[..2].copy_from_slice(&f32_to_f16(d * FUDGE).to_le_bytes());
        for (head, scale) in heads.iter_mut().zip(scales) {
            *head |= u16::from(scale_code(scale, 1.0 / d, 7)) << 12;
        }
    }
    for (bytes, head) in block[HEADS..].as_chunks_mut::<2>().0.iter_mut().zip(heads) {
        *bytes = head.to_le_bytes();
    }
}

/// Points and scale of a sub-block, if it is not zero.
fn encode_sub(x: &[f32; SUB_LEN], weights: &[f32; SUB_LEN]) -> Option<Sub> {
    if max(&x.map(f32::abs)) < GROUP_MAX_EPS {
        return None;
    }
    let order = iq1::ascending(x);
    let (mut sums_x, mut sums_w) = ([0.0_f32; SUB_LEN + 1], [0.0_f32; SUB_LEN + 1]);
    for (rank, i) in order.into_iter().map(usize::from).enumerate() {
        sums_x[rank + 1] = sums_x[rank] + weights[i] * x[i];
        sums_w[rank + 1] = sums_w[rank] + weights[i];
    }
    let mut best = Best::new();
    for first in 0..=SUB_LEN {
        for second in first..=SUB_LEN {
            let runs = |sums: &[f32; SUB_LEN + 1]| {
                [sums[first], sums[second] - sums[first], sums[SUB_LEN] - sums[second]]
            };
            let (runs_x, runs_w) = (runs(&sums_x), runs(&sums_w));
            for (is_down, values) in [(false, UP), (true, DOWN)] {
                let [a, b, c] = values;
                let sum_qx = runs_x[0] * a + runs_x[1] * b + runs_x[2] * c;
                let sum_q2 = runs_w[0] * a * a + runs_w[1] * b * b + runs_w[2] * c * c;
                best.offer(sum_qx, sum_q2, (first, second, is_down));
            }
        }
    }
    let (scale, (first, second, is_down)) = best.choice?;
    let is_flipped = scale < 0.0;
    let is_down = is_down != is_flipped;
    let codes = iq1::codes(&order, (first, second), is_flipped);
    let codes = codes.as_chunks::<GROUP>().0.first_chunk::<4>().expect("four groups of eight");
    let (points, scale) = iq1::to_grid(codes, groups(x), groups(weights), &[values(is_down); 4], scale.abs());
    Some(Sub { points, scale, is_down })
}

fn decode_row(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<BYTES>().0.iter().zip(out.as_chunks_mut::<LEN>().0) {
        let d = f16_to_f32(u16::from_le_bytes([block[0], block[1]]));
        for (i, out) in out.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
            let head = u16::from_le_bytes(block[HEADS..].as_chunks::<2>().0[i / 4]);
            let scale = d * f32::from(2 * (head >> 12 & 7) + 1);
            let point_idx = u16::from(block[2 + i]) | (head >> (3 * (i % 4)) & 7) << 8;
            iq1::decode(point_idx, scale, values(head >> 15 == 1), out);
        }
    }
}

/// [`decode_row`] in lanes.
struct Block;

impl DecodeBlock<LEN, BYTES> for Block {
    #[inline(always)]
    fn decode<S: Simd>(block: &[u8; BYTES], out: &mut [f32; LEN]) {
        let d = f16_to_f32(u16::from_le_bytes([block[0], block[1]]));
        for (pair, out) in out.as_chunks_mut::<{ 2 * GROUP }>().0.iter_mut().enumerate() {
            let head = u16::from_le_bytes(block[HEADS..].as_chunks::<2>().0[pair / 2]);
            let scale = d * f32::from(2 * (head >> 12 & 7) + 1);
            let high = head >> (6 * (pair % 2));
            let first = u16::from(block[2 + 2 * pair]) | (high & 7) << 8;
            let second = u16::from(block[3 + 2 * pair]) | (high >> 3 & 7) << 8;
            iq1::decode_pair::<S>([first, second], scale, [head >> 15 == 1; 2], out);
        }
    }
}
