//! Q4_0: 32 weights in 18 bytes, 4.5 bits per weight.
//!
//! One f16 scale `d` and 4-bit codes: `w ~= d * (q - 8)`. Code `j` is the lower half of byte `j`, code
//! `j + 16` its upper half. With importance the scale is searched for, without it follows from the extremes.
//!
//! Source: `block_q4_0` of ggml-common.h. Bytes are compared with ggml's in `tests/golden.rs`.

use mc_tensor::convert::{f16_to_f32, f32_to_f16};
use mc_tensor::cpu_path::CpuPath;

use crate::codec::{Codec, Importance, Rows, Vector};
use crate::lanes::blocks::{self, DecodeBlock};
use crate::lanes::{Kernel, Simd, dispatch};
use crate::rounding::truncate;
use crate::search::extremes::{Scales, WINDOW, peaks};
use crate::search::super_blocks;
use crate::search::weighted_blocks::{self, LEN, mean_squares, symmetric_blocks};
use crate::search::{sum_of_squares, symmetric, weigh};

const BYTES: usize = 18;

/// The codec.
pub static CODEC: Codec = Codec {
    name: "Q4_0",
    version: 1,
    wire_id: 2,
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
        let d = symmetric(x, 8, Some(&weights), &mut codes);
        write_block(block, d, &codes);
    }
}

fn encode_block(x: &[f32; LEN], block: &mut [u8; BYTES]) {
    let (mut max, mut abs_max) = (0.0_f32, 0.0_f32);
    for value in x {
        if value.abs() > abs_max {
            abs_max = value.abs();
            max = *value;
        }
    }
    let d = max / -8.0;
    let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
    let mut codes = [0; LEN];
    for (code, value) in codes.iter_mut().zip(x) {
        // The cast cuts towards zero, so the half makes it round.
        *code = (truncate(value * inverse + 8.5) as i8).min(15) as u8;
    }
    write_block(block, d, &codes);
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
            let scales = Scales::new::<S>(&peaks::<S>(x), -8.0);
            for (block_idx, (x, block)) in x.iter().zip(out).enumerate() {
                let inverse = S::splat(scales.inverses[block_idx]);
                let (half, bytes) = block.split_at_mut(2);
                half.copy_from_slice(&scales.halves[block_idx]);
                for first in (0..LEN / 2).step_by(S::N) {
                    let lower = codes::<S>(&x[first..], inverse);
                    let upper = codes::<S>(&x[first + LEN / 2..], inverse);
                    S::store_bytes(lower | S::shl::<4>(upper), &mut bytes[first..]);
                }
            }
        }
    }
}

/// Codes; what an infinite inverse gives becomes code 0.
#[inline(always)]
fn codes<S: Simd>(x: &[f32], inverse: S::F) -> S::I {
    let codes = S::truncate(S::load(x) * inverse + S::splat(8.5));
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
                let found = symmetric_blocks::<S>(&window, importance, &means, 8);
                for (block_idx, (x, block)) in
                    window.x.as_chunks::<LEN>().0.iter().zip(&mut blocks).enumerate()
                {
                    let codes = found.signed_codes::<S>(block_idx, x, 8);
                    write_block(block, found.scales[block_idx], &codes);
                }
            }
        }
    }
}

#[inline(always)]
fn write_block(block: &mut [u8; BYTES], d: f32, codes: &[u8; LEN]) {
    block[..2].copy_from_slice(&f32_to_f16(d).to_le_bytes());
    for (j, byte) in block[2..].iter_mut().enumerate() {
        *byte = codes[j] | codes[j + 16] << 4;
    }
}

fn decode_row(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<BYTES>().0.iter().zip(out.as_chunks_mut::<LEN>().0) {
        let d = f16_to_f32(u16::from_le_bytes([block[0], block[1]]));
        for (j, byte) in block[2..].iter().enumerate() {
            out[j] = (f32::from(byte & 15) - 8.0) * d;
            out[j + 16] = (f32::from(byte >> 4) - 8.0) * d;
        }
    }
}

/// [`decode_row`] in lanes.
struct Block;

impl DecodeBlock<LEN, BYTES> for Block {
    #[inline(always)]
    fn decode<S: Simd>(block: &[u8; BYTES], out: &mut [f32; LEN]) {
        let d = S::splat(f16_to_f32(u16::from_le_bytes([block[0], block[1]])));
        for first in (0..LEN / 2).step_by(S::N) {
            let codes = S::load_bytes(&block[2 + first..]);
            let (lower, upper) = (codes & S::splat_i(15), S::shr::<4>(codes));
            S::store(S::to_f(lower - S::splat_i(8)) * d, &mut out[first..]);
            S::store(S::to_f(upper - S::splat_i(8)) * d, &mut out[first + LEN / 2..]);
        }
    }
}
