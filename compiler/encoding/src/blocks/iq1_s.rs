//! IQ1_S: 256 weights in 50 bytes, 1.5625 bits per weight.
//!
//! Eight sub-blocks of 32 weights under one f16 number. A sub-block is four points of a grid of 2048 (see
//! [`crate::codebook`]): four bytes hold their lower 8 bits, and a u16 holds the upper 3 bits of each, a 3-bit scale
//! and whether the values are shifted down. `w ~= d * (2 scale + 1) * (q - 1 +- 1/8)` for the code `q`.
//!
//! Source: `block_iq1_s` of ggml-common.h. Bytes are compared with ggml's in `tests/golden.rs`.

use mc_tensor::convert::{f16_to_f32, f32_to_f16};

use crate::blocks::iq4_nl;
use crate::codec::{Codec, Importance, Vector};
use crate::lanes::Simd;
use crate::lanes::blocks::{self, DecodeBlock};
use crate::layouts::iq1::{self, Best, DOWN, GROUP, UP, values};
use crate::layouts::iq1_lanes::{self, Found, SearchSubs};
use crate::rows::encode_blocks;
use crate::search::lattice::{groups, max, scale_code};
use crate::search::lattice_subs::{Counting, Plain, numbers, search_each};
use crate::search::super_blocks::{self, EncodeWindow, MAX_SUBS, WINDOW, Window};

const LEN: usize = 256;
const SUB_LEN: usize = 32;
const N_SUBS: usize = LEN / SUB_LEN;
const HEADS: usize = 2 + LEN / GROUP;
const BYTES: usize = HEADS + 2 * N_SUBS;
const COUNTING: Counting = Counting { sigma2_factor: 2.0, plain: Plain::Square };
/// A group whose numbers are all below this counts as zero.
const GROUP_MAX_EPS: f32 = 1e-12;
/// A larger scale reduces the rounding error of scales and points.
const FUDGE: f32 = 1.125;

/// The codec.
pub static CODEC: Codec = Codec {
    name: "IQ1_S",
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
    let importance = importance.expect("`IQ1_S` cannot be encoded without importance");
    encode_blocks(row, Some(importance), out, encode_block);
}

#[derive(Clone, Copy)]
struct Sub {
    points: [u16; 4],
    scale: f32,
    is_down: bool,
}

fn encode_block(x: &[f32; LEN], importance: Option<&[f32; LEN]>, block: &mut [u8; BYTES]) {
    write_block(&search_each(x, importance, COUNTING, encode_sub), block);
}

fn write_block(subs: &[Option<Sub>; N_SUBS], block: &mut [u8; BYTES]) {
    block.fill(0);
    let (mut scales, mut heads) = ([0.0_f32; N_SUBS], [0_u16; N_SUBS]);
    for (sub, found) in subs.iter().enumerate() {
        let Some(Sub { points, scale, is_down }) = *found else {
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
        // The points then do not matter, but the reference keeps them.
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

/// Finds the points and the scale of a sub-block; `None` if it is zero.
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

/// [`encode_row`] and [`decode_row`] in lanes.
struct Block;

impl EncodeWindow<LEN, BYTES> for Block {
    #[inline(always)]
    fn encode<S: Simd>(window: &Window<'_>, blocks: &mut [[u8; BYTES]]) {
        let mut subs = [None; WINDOW * MAX_SUBS];
        assert!(window.importance.is_some(), "`IQ1_S` cannot be encoded without importance");
        let sums = window.sums_of_squares::<S>();
        for first in (0..window.x.len() / SUB_LEN).step_by(S::N) {
            let (x, weights) = numbers::<S, SUB_LEN>(window, &sums, first, COUNTING);
            let found = iq1_lanes::find::<S, Self, 4, SUB_LEN>(&x, &weights);
            for (sub, found) in subs[first..].iter_mut().zip(&found[..S::N]) {
                *sub = found.map(|Found { points, scale, is_down: [is_down, ..] }| Sub {
                    points,
                    scale,
                    is_down,
                });
            }
        }
        for (subs, block) in subs.as_chunks::<N_SUBS>().0.iter().zip(blocks) {
            write_block(subs, block);
        }
    }
}

impl SearchSubs<4, SUB_LEN> for Block {
    const GROUP_MAX_EPS: f32 = GROUP_MAX_EPS;

    #[inline(always)]
    fn search<S: Simd>(sorted: &iq1_lanes::Sorted<S, SUB_LEN>) -> iq1_lanes::Best<S> {
        search_lanes::<S>(sorted)
    }

    #[inline(always)]
    fn choice(choice: i32) -> ((usize, usize), [bool; 4]) {
        let (first, second, is_down) = self::choice(choice);
        ((first, second), [is_down; 4])
    }
}

/// Encodes borders and shift as one number.
const fn choice_of(first: usize, second: usize, is_down: bool) -> i32 {
    (first << 8 | second << 1 | is_down as usize) as i32
}

/// Decodes the borders and the shift.
fn choice(choice: i32) -> (usize, usize, bool) {
    (choice as usize >> 8, choice as usize >> 1 & 127, choice & 1 == 1)
}

/// The tries of [`encode_sub`] in lanes.
#[inline(always)]
fn search_lanes<S: Simd>(sorted: &iq1_lanes::Sorted<S, SUB_LEN>) -> iq1_lanes::Best<S> {
    let zero = S::splat(0.0);
    let (mut sums_x, mut sums_w) = ([zero; SUB_LEN + 1], [zero; SUB_LEN + 1]);
    for rank in 0..SUB_LEN {
        sums_x[rank + 1] = sums_x[rank] + sorted.weights[rank] * sorted.x[rank];
        sums_w[rank + 1] = sums_w[rank] + sorted.weights[rank];
    }
    // The contribution of the third run depends only on its border.
    let splat = |values: iq1::Values| values.map(S::splat);
    let ([up_0, _, up_2], [down_0, _, down_2]) = (splat(UP), splat(DOWN));
    let mut last = [[zero; 4]; SUB_LEN + 1];
    for (second, last) in last.iter_mut().enumerate() {
        let (x, w) = (sums_x[SUB_LEN] - sums_x[second], sums_w[SUB_LEN] - sums_w[second]);
        *last = [x * up_2, w * up_2 * up_2, x * down_2, w * down_2 * down_2];
    }
    // The middle value is an eighth, up or down.
    let eighth = S::splat(UP[1]);
    let mut best = iq1_lanes::Best::<S>::new();
    for first in 0..=SUB_LEN {
        let (x, w) = (sums_x[first], sums_w[first]);
        let start = [x * up_0, w * up_0 * up_0, x * down_0, w * down_0 * down_0];
        for second in first..=SUB_LEN {
            let middle_x = (sums_x[second] - x) * eighth;
            let middle_w = (sums_w[second] - w) * eighth * eighth;
            let last = &last[second];
            let up_x = start[0] + middle_x + last[0];
            let up_w = start[1] + middle_w + last[1];
            let down_x = start[2] - middle_x + last[2];
            let down_w = start[3] + middle_w + last[3];
            // Most tries improve no lane.
            if S::any(best.is_better(up_x, up_w) | best.is_better(down_x, down_w)) {
                best.offer(up_x, up_w, choice_of(first, second, false));
                best.offer(down_x, down_w, choice_of(first, second, true));
            }
        }
    }
    best
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
