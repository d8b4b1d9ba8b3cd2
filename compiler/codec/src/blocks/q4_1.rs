//! Q4_1: 32 weights in 20 bytes, 5 bits per weight.
//!
//! An f16 scale `d` and an f16 minimum `m` and 4-bit codes: `w ~= d * q + m`. Code `j` is the lower half of byte `j`, code
//! `j + 16` its upper half. With importance the scale is searched for, without it follows from the extremes.
//!
//! Source: `block_q4_1` of ggml-common.h. Bytes are compared with ggml's in `tests/golden.rs`.

use mc_tensor::convert::{f16_to_f32, f32_to_f16};
use mc_tensor::cpu_path::CpuPath;

use crate::codec::{Codec, Importance, Rows, Vector};
use crate::lanes::blocks::{self, DecodeBlock};
use crate::lanes::{Kernel, Simd, dispatch};
use crate::rounding::truncate;
use crate::search::extremes::{Scales, WINDOW, halves, ranges};
use crate::search::super_blocks;
use crate::search::weighted_blocks::{self, LEN, affine_blocks, mean_squares};
use crate::search::{Deviation, Walk, affine, sum_of_squares, weigh};

const BYTES: usize = 20;

const WALK: Walk = Walk { n_max: 15, start: -0.9, step: 0.05, n_steps: 36, deviation: Deviation::Squared };

/// The codec.
pub static CODEC: Codec = Codec {
    name: "Q4_1",
    version: 1,
    wire_id: 3,
    block_len: LEN,
    block_bytes: BYTES,
    fallback: None,
    importance: Importance::Used,
    encode_row,
    decode_row,
    vector: Vector { encode: Some(encode_vector), decode: Some(blocks::decode::<Block, LEN, BYTES>) },
};

fn encode_row(row: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
    let blocks = row.as_chunks::<LEN>().0.iter().zip(out.as_chunks_mut::<BYTES>().0);
    let Some(importance) = importance else {
        for (x, block) in blocks {
            encode_block(x, block);
        }
        return;
    };
    let sigma2 = sum_of_squares(row) / row.len() as f32;
    for ((x, block), importance) in blocks.zip(importance.as_chunks::<LEN>().0) {
        let mut codes = [0; LEN];
        let weights = weigh(x, importance, sigma2);
        let (d, min) = affine(x, &weights, WALK, &mut codes);
        write_block(block, d, -min, &codes);
    }
}

fn encode_block(x: &[f32; LEN], block: &mut [u8; BYTES]) {
    let (mut min, mut max) = (f32::MAX, f32::MIN);
    for value in x {
        if *value < min {
            min = *value;
        }
        if *value > max {
            max = *value;
        }
    }
    let d = (max - min) / 15.0;
    let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
    let mut codes = [0; LEN];
    for (code, value) in codes.iter_mut().zip(x) {
        // The cast cuts towards zero, so the half makes it round.
        *code = (truncate((value - min) * inverse + 0.5) as i8).min(15) as u8;
    }
    write_block(block, d, min, &codes);
}

fn encode_vector(path: CpuPath, rows: &Rows<'_>, out: &mut [u8]) -> bool {
    match rows.importance {
        None => dispatch::run(path, EncodePlain { x: rows.x, out }),
        Some(importance) => dispatch::run(path, EncodeWeighted { rows, importance, out }),
    }
}

/// [`encode_block`] in lanes.
struct EncodePlain<'a> {
    x: &'a [f32],
    out: &'a mut [u8],
}

impl Kernel for EncodePlain<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let (x, out) = (self.x.as_chunks::<LEN>().0, self.out.as_chunks_mut::<BYTES>().0);
        for (x, out) in x.chunks(WINDOW).zip(out.chunks_mut(WINDOW)) {
            let (mins, mut widths) = ranges::<S>(x);
            for (width, min) in widths.iter_mut().zip(mins) {
                *width -= min;
            }
            let scales = Scales::new::<S>(&widths, 15.0);
            let halves = halves::<S>(&mins);
            for (block_idx, (x, block)) in x.iter().zip(out).enumerate() {
                let (min, inverse) = (S::splat(mins[block_idx]), S::splat(scales.inverses[block_idx]));
                let (head, bytes) = block.split_at_mut(4);
                head[..2].copy_from_slice(&scales.halves[block_idx]);
                head[2..].copy_from_slice(&halves[block_idx]);
                for first in (0..LEN / 2).step_by(S::N) {
                    let lower = codes::<S>(&x[first..], min, inverse);
                    let upper = codes::<S>(&x[first + LEN / 2..], min, inverse);
                    S::store_bytes(lower | S::shl::<4>(upper), &mut bytes[first..]);
                }
            }
        }
    }
}

/// Codes; what an infinite inverse gives becomes code 0.
#[inline(always)]
fn codes<S: Simd>(x: &[f32], min: S::F, inverse: S::F) -> S::I {
    let codes = S::truncate((S::load(x) - min) * inverse + S::splat(0.5));
    S::min_i(codes, S::splat_i(15)) & S::splat_i(15)
}

/// The encoding under importance, in lanes.
struct EncodeWeighted<'a> {
    rows: &'a Rows<'a>,
    importance: &'a [f32],
    out: &'a mut [u8],
}

impl Kernel for EncodeWeighted<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { rows, importance, out } = self;
        let mut blocks = out.as_chunks_mut::<BYTES>().0.iter_mut();
        for batch in weighted_blocks::batches(rows) {
            let means = mean_squares::<S>(&batch);
            for window in super_blocks::windows(&batch) {
                let found = affine_blocks::<S>(&window, importance, &means, WALK);
                for (block_idx, (x, block)) in
                    window.x.as_chunks::<LEN>().0.iter().zip(&mut blocks).enumerate()
                {
                    let codes = found.affine_codes::<S>(block_idx, x, 15);
                    write_block(block, found.scales[block_idx], -found.mins[block_idx], &codes);
                }
            }
        }
    }
}

#[inline(always)]
fn write_block(block: &mut [u8; BYTES], d: f32, min: f32, codes: &[u8; LEN]) {
    block[..2].copy_from_slice(&f32_to_f16(d).to_le_bytes());
    block[2..4].copy_from_slice(&f32_to_f16(min).to_le_bytes());
    for (j, byte) in block[4..].iter_mut().enumerate() {
        *byte = codes[j] | codes[j + 16] << 4;
    }
}

fn decode_row(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<BYTES>().0.iter().zip(out.as_chunks_mut::<LEN>().0) {
        let d = f16_to_f32(u16::from_le_bytes([block[0], block[1]]));
        let min = f16_to_f32(u16::from_le_bytes([block[2], block[3]]));
        for (j, byte) in block[4..].iter().enumerate() {
            out[j] = f32::from(byte & 15) * d + min;
            out[j + 16] = f32::from(byte >> 4) * d + min;
        }
    }
}

/// [`decode_row`] in lanes.
struct Block;

impl DecodeBlock<LEN, BYTES> for Block {
    #[inline(always)]
    fn decode<S: Simd>(block: &[u8; BYTES], out: &mut [f32; LEN]) {
        let d = S::splat(f16_to_f32(u16::from_le_bytes([block[0], block[1]])));
        let min = S::splat(f16_to_f32(u16::from_le_bytes([block[2], block[3]])));
        for first in (0..LEN / 2).step_by(S::N) {
            let codes = S::load_bytes(&block[4 + first..]);
            let (lower, upper) = (codes & S::splat_i(15), S::shr::<4>(codes));
            S::store(S::to_f(lower) * d + min, &mut out[first..]);
            S::store(S::to_f(upper) * d + min, &mut out[first + LEN / 2..]);
        }
    }
}
