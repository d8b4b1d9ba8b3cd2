//! IQ1_M: 256 weights in 56 bytes, 1.75 bits per weight.
//!
//! Sixteen sub-blocks of 16 weights with 3-bit scales under one f16 number. A sub-block is two points of a grid of 2048
//! (see [`crate::codebook`]). 32 bytes hold the lower 8 bits of the points; 16 bytes hold, in each half, the upper 3
//! bits of a point and whether its values are shifted down; four u16 hold the scales of four sub-blocks each and, in
//! the highest 4 bits, a quarter of the f16 number. `w ~= d * (2 scale + 1) * (q - 1 +- 1/8)` for the code `q`.
//!
//! Source: `block_iq1_m` of ggml-common.h. Bytes are compared with ggml's in `tests/golden.rs`.

use mc_tensor::convert::f16_to_f32;

use crate::blocks::iq4_nl;
use crate::codec::{Codec, Importance, Vector};
use crate::lanes::blocks::{self, DecodeBlock};
use crate::lanes::{MAX_LANES, Simd};
use crate::layouts::iq1::{self, Best, DOWN, GROUP, Sums, UP, Values, values};
use crate::layouts::iq1_lanes::{self, Found, SearchSubs};
use crate::rounding::f16_bits;
use crate::rows::encode_blocks;
use crate::search::lattice::{groups, max, scale_code};
use crate::search::lattice_subs::{Counting, Plain, numbers};
use crate::search::super_blocks::{self, EncodeWindow, MAX_SUBS, WINDOW, Window};
use crate::search::{sum_of_squares, weigh};

const LEN: usize = 256;
const SUB_LEN: usize = 16;
const N_SUBS: usize = LEN / SUB_LEN;
const HIGH: usize = LEN / GROUP;
const SCALES: usize = HIGH + N_SUBS;
const BYTES: usize = SCALES + 8;
const COUNTING: Counting = Counting { sigma2_factor: 2.0, plain: Plain::Square };
/// A group whose numbers are all below this counts as zero.
const GROUP_MAX_EPS: f32 = 1e-7;
/// A larger scale reduces the rounding error of scales and points.
const FUDGE: f32 = 1.1125;

/// The codec.
pub static CODEC: Codec = Codec {
    name: "IQ1_M",
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

/// For each of the two groups, true if its values are shifted down.
type Shifts = [bool; 2];
/// All shifts, in the order of the tries.
const SHIFTS: [Shifts; 4] = [[false, false], [false, true], [true, false], [true, true]];

#[derive(Clone, Copy, Default)]
struct Sub {
    points: [u16; 2],
    scale: f32,
    shifts: Shifts,
}

fn encode_block(x: &[f32; LEN], importance: Option<&[f32; LEN]>, block: &mut [u8; BYTES]) {
    let sigma2 = 2.0 * sum_of_squares(x) / LEN as f32;
    let weights = match importance {
        Some(importance) => weigh(x, importance, sigma2),
        None => x.map(|x| x * x),
    };
    let subs = x.as_chunks::<SUB_LEN>().0.iter().zip(weights.as_chunks::<SUB_LEN>().0);
    let mut encoded = [Sub::default(); N_SUBS];
    for (sub, (x, weights)) in encoded.iter_mut().zip(subs) {
        *sub = encode_sub(x, weights).unwrap_or_default();
    }
    write_block(&encoded, x, &weights, block);
}

fn write_block(encoded: &[Sub; N_SUBS], x: &[f32; LEN], weights: &[f32; LEN], block: &mut [u8; BYTES]) {
    block.fill(0);
    for (i, sub) in encoded.iter().enumerate() {
        let [first, second] = sub.points;
        block[2 * i] = first as u8;
        block[2 * i + 1] = second as u8;
        block[HIGH + i] = (first >> 8 | (second >> 8) << 4) as u8;
    }
    let max_scale = max(&encoded.map(|sub| sub.scale));
    if max_scale == 0.0 {
        return;
    }
    let d = max_scale / 15.0;
    let mut words = [0_u16; 4];
    let mut sums = Sums::default();
    let subs = x.as_chunks::<SUB_LEN>().0.iter().zip(weights.as_chunks::<SUB_LEN>().0);
    for (i, (sub, (x, weights))) in encoded.iter().zip(subs).enumerate() {
        let code = scale_code(sub.scale, 1.0 / d, 7);
        words[i / 4] |= u16::from(code) << (3 * (i % 4));
        block[HIGH + i] |= u8::from(sub.shifts[0]) << 3 | u8::from(sub.shifts[1]) << 7;
        let (x, weights) = (groups::<GROUP, 2>(x), groups::<GROUP, 2>(weights));
        for group in 0..2 {
            let odd = f32::from(2 * code + 1);
            sums.add(sub.points[group], &x[group], &weights[group], values(sub.shifts[group]), odd);
        }
    }
    let d = f16_bits(if sums.q2 > 0.0 { sums.scale() } else { d } * FUDGE);
    for (i, (bytes, word)) in block[SCALES..].as_chunks_mut::<2>().0.iter_mut().zip(words).enumerate() {
        *bytes = (word | (d >> (4 * i) & 15) << 12).to_le_bytes();
    }
}

/// Finds the points and the scale of a sub-block; `None` if it is zero.
fn encode_sub(x: &[f32; SUB_LEN], weights: &[f32; SUB_LEN]) -> Option<Sub> {
    if max(&x.map(f32::abs)) < GROUP_MAX_EPS {
        return None;
    }
    let order = iq1::ascending(x);
    let (scale, (borders, shifts)) = search(x, weights, &order)?;
    let is_flipped = scale < 0.0;
    let shifts = shifts.map(|is_down| is_down != is_flipped);
    let codes = iq1::codes(&order, borders, is_flipped);
    let codes = codes.as_chunks::<GROUP>().0.first_chunk::<2>().expect("two groups of eight");
    let (points, scale) = iq1::to_grid(codes, groups(x), groups(weights), &shifts.map(values), scale.abs());
    Some(Sub { points, scale, shifts })
}

type Choice = (f32, ((usize, usize), Shifts));

/// The best scale, run borders and shifts, if any are valid.
///
/// The values of adjacent codes differ by one, so a group's sum of `q x` is the sum of all its weights at the last
/// value, minus the sums before each border.
fn search(x: &[f32; SUB_LEN], weights: &[f32; SUB_LEN], order: &[u8; SUB_LEN]) -> Option<Choice> {
    // Sums over the first weights in ascending order, by group.
    let mut sums_x = [[0.0_f32; SUB_LEN + 1]; 2];
    let mut sums_w = [[0.0_f32; SUB_LEN + 1]; 2];
    for (rank, i) in order.iter().map(|i| usize::from(*i)).enumerate() {
        for group in 0..2 {
            let is_in = i / GROUP == group;
            let (sum_x, sum_w) = (sums_x[group][rank], sums_w[group][rank]);
            sums_x[group][rank + 1] = if is_in { sum_x + weights[i] * x[i] } else { sum_x };
            sums_w[group][rank + 1] = if is_in { sum_w + weights[i] } else { sum_w };
        }
    }
    // All shifts in parallel. The parts that do not depend on the borders:
    let values: [[&Values; 2]; 4] = SHIFTS.map(|shifts| shifts.map(values));
    let by_group =
        |f: &dyn Fn(usize, &Values) -> f32| [0, 1].map(|group| values.map(|of| f(group, of[group])));
    let total_x = by_group(&|group, v| sums_x[group][SUB_LEN] * v[2]);
    let total_w = by_group(&|group, v| sums_w[group][SUB_LEN] * v[2] * v[2]);
    let first_w = by_group(&|_, v| v[0] * v[0] - v[1] * v[1]);
    let second_w = by_group(&|_, v| v[1] * v[1] - v[2] * v[2]);
    let mut best = Best::new();
    for first in 0..=SUB_LEN {
        for second in first..=SUB_LEN {
            let sum_qx =
                |group: usize, i: usize| total_x[group][i] - (sums_x[group][first] + sums_x[group][second]);
            let sum_q2 = |group: usize, i: usize| {
                total_w[group][i]
                    + sums_w[group][first] * first_w[group][i]
                    + sums_w[group][second] * second_w[group][i]
            };
            let sum_qx: [f32; 4] = std::array::from_fn(|i| sum_qx(0, i) + sum_qx(1, i));
            let sum_q2: [f32; 4] = std::array::from_fn(|i| sum_q2(0, i) + sum_q2(1, i));
            if best.is_any_better(&sum_qx, &sum_q2) {
                for (i, shifts) in SHIFTS.into_iter().enumerate() {
                    best.offer(sum_qx[i], sum_q2[i], ((first, second), shifts));
                }
            }
        }
    }
    best.choice
}

/// [`encode_row`] and [`decode_row`] in lanes.
struct Block;

impl EncodeWindow<LEN, BYTES> for Block {
    #[inline(always)]
    fn encode<S: Simd>(window: &Window<'_>, blocks: &mut [[u8; BYTES]]) {
        let mut subs = [Sub::default(); WINDOW * MAX_SUBS];
        let mut weights = [[0.0; SUB_LEN]; WINDOW * MAX_SUBS];
        let sums = window.sums_of_squares::<S>();
        for first in (0..window.x.len() / SUB_LEN).step_by(S::N) {
            let (x, w) = numbers::<S, SUB_LEN>(window, &sums, first, COUNTING);
            let found = iq1_lanes::find::<S, Self, 2, SUB_LEN>(&x, &w);
            for (sub, found) in subs[first..].iter_mut().zip(&found[..S::N]) {
                let found =
                    found.map(|Found { points, scale, is_down }| Sub { points, scale, shifts: is_down });
                *sub = found.unwrap_or_default();
            }
            let mut rows = [[0.0; SUB_LEN]; MAX_LANES];
            S::store_rows::<SUB_LEN>(&w, &mut rows);
            weights[first..][..S::N].copy_from_slice(&rows[..S::N]);
        }
        let encoded = subs.as_chunks::<N_SUBS>().0.iter().zip(weights.as_flattened().as_chunks::<LEN>().0);
        for (block_idx, ((subs, weights), block)) in encoded.zip(blocks).enumerate() {
            write_block(subs, &window.x.as_chunks::<LEN>().0[block_idx], weights, block);
        }
    }
}

impl SearchSubs<2, SUB_LEN> for Block {
    const GROUP_MAX_EPS: f32 = GROUP_MAX_EPS;

    #[inline(always)]
    fn search<S: Simd>(sorted: &iq1_lanes::Sorted<S, SUB_LEN>) -> iq1_lanes::Best<S> {
        search_lanes::<S>(sorted)
    }

    #[inline(always)]
    fn choice(choice: i32) -> ((usize, usize), Shifts) {
        self::choice(choice)
    }
}

/// Encodes borders and an index of [`SHIFTS`] as one number.
const fn choice_of(first: usize, second: usize, shifts_idx: usize) -> i32 {
    (first << 8 | second << 2 | shifts_idx) as i32
}

/// Decodes the borders and shifts.
fn choice(choice: i32) -> ((usize, usize), Shifts) {
    let choice = choice as usize;
    ((choice >> 8, choice >> 2 & 63), SHIFTS[choice & 3])
}

/// [`search`] in lanes.
#[inline(always)]
fn search_lanes<S: Simd>(sorted: &iq1_lanes::Sorted<S, SUB_LEN>) -> iq1_lanes::Best<S> {
    let zero = S::splat(0.0);
    let (mut sums_x, mut sums_w) = ([[zero; SUB_LEN + 1]; 2], [[zero; SUB_LEN + 1]; 2]);
    for rank in 0..SUB_LEN {
        let is_second = S::gt_i(sorted.order[rank], S::splat_i(GROUP as i32 - 1));
        let (x, w) = (sorted.weights[rank] * sorted.x[rank], sorted.weights[rank]);
        for (group, is_in) in [!is_second, is_second].into_iter().enumerate() {
            let (sum_x, sum_w) = (sums_x[group][rank], sums_w[group][rank]);
            sums_x[group][rank + 1] = S::select(is_in, sum_x + x, sum_x);
            sums_w[group][rank + 1] = S::select(is_in, sum_w + w, sum_w);
        }
    }
    // By group, then up or down: the parts that do not depend on the borders, and the contribution of the second border
    // to `q^2`.
    let (mut total_x, mut total_w) = ([[zero; 2]; 2], [[zero; 2]; 2]);
    let mut second_w = [[[zero; 2]; 2]; SUB_LEN + 1];
    for group in 0..2 {
        for (shift, v) in [UP, DOWN].into_iter().enumerate() {
            let last = S::splat(v[2]);
            total_x[group][shift] = sums_x[group][SUB_LEN] * last;
            total_w[group][shift] = sums_w[group][SUB_LEN] * last * last;
            for (sum_w, second_w) in sums_w[group].iter().zip(&mut second_w) {
                second_w[group][shift] = *sum_w * S::splat(v[1] * v[1] - v[2] * v[2]);
            }
        }
    }
    let mut best = iq1_lanes::Best::<S>::new();
    for first in 0..=SUB_LEN {
        let mut first_w = total_w;
        for group in 0..2 {
            for (shift, v) in [UP, DOWN].into_iter().enumerate() {
                let added = sums_w[group][first] * S::splat(v[0] * v[0] - v[1] * v[1]);
                first_w[group][shift] = total_w[group][shift] + added;
            }
        }
        for second in first..=SUB_LEN {
            let (mut group_x, mut group_w) = ([[zero; 2]; 2], [[zero; 2]; 2]);
            for group in 0..2 {
                let before = sums_x[group][first] + sums_x[group][second];
                for shift in 0..2 {
                    group_x[group][shift] = total_x[group][shift] - before;
                    group_w[group][shift] = first_w[group][shift] + second_w[second][group][shift];
                }
            }
            let (mut sum_qx, mut sum_q2) = ([zero; 4], [zero; 4]);
            let mut is_any_better = S::lt(zero, zero);
            for i in 0..4 {
                // In the order of [`SHIFTS`].
                sum_qx[i] = group_x[0][i / 2] + group_x[1][i % 2];
                sum_q2[i] = group_w[0][i / 2] + group_w[1][i % 2];
                is_any_better = is_any_better | best.is_better(sum_qx[i], sum_q2[i]);
            }
            // Most tries improve no lane.
            if S::any(is_any_better) {
                for i in 0..4 {
                    best.offer(sum_qx[i], sum_q2[i], choice_of(first, second, i));
                }
            }
        }
    }
    best
}

fn decode_row(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<BYTES>().0.iter().zip(out.as_chunks_mut::<LEN>().0) {
        let words = block[SCALES..].as_chunks::<2>().0;
        let word = |i: usize| u16::from_le_bytes(words[i]);
        let d = f16_to_f32((0..4).map(|i| (word(i) >> 12) << (4 * i)).sum());
        for (i, out) in out.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
            let sub = i / 2;
            let scale = d * f32::from(2 * (word(sub / 4) >> (3 * (sub % 4)) & 7) + 1);
            let high = block[HIGH + sub] >> (4 * (i % 2));
            let point_idx = u16::from_le_bytes([block[i], high & 7]);
            iq1::decode(point_idx, scale, values(high & 8 != 0), out);
        }
    }
}

impl DecodeBlock<LEN, BYTES> for Block {
    #[inline(always)]
    fn decode<S: Simd>(block: &[u8; BYTES], out: &mut [f32; LEN]) {
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(block[SCALES..].as_chunks::<2>().0) {
            *word = u16::from_le_bytes(*bytes);
        }
        let d = words[0] >> 12 | words[1] >> 12 << 4 | words[2] >> 12 << 8 | words[3] >> 12 << 12;
        let d = f16_to_f32(d);
        for (sub, out) in out.as_chunks_mut::<SUB_LEN>().0.iter_mut().enumerate() {
            let scale = d * f32::from(2 * (words[sub / 4] >> (3 * (sub % 4)) & 7) + 1);
            let high = block[HIGH + sub];
            let first = u16::from_le_bytes([block[2 * sub], high & 7]);
            let second = u16::from_le_bytes([block[2 * sub + 1], high >> 4 & 7]);
            iq1::decode_pair::<S>([first, second], scale, [high & 8 != 0, high & 128 != 0], out);
        }
    }
}
