//! Q5_1: 32 weights in 24 bytes, 6 bits per weight.
//!
//! An f16 scale `d` and an f16 minimum `m` and 5-bit codes, the fifth bits in one u32: `w ~= d * q + m`. Code `j` is the lower half of byte `j`, code
//! `j + 16` its upper half. With importance the scale is searched for, without it follows from the extremes.
//!
//! Source: `block_q5_1` of ggml-common.h. Bytes are compared with ggml's in `tests/golden.rs`.

use mc_tensor::convert::{f16_to_f32, f32_to_f16};

use crate::codec::{Codec, Importance, Vector};
use crate::search::{Deviation, Walk, affine, sum_of_squares, truncate, weigh};

const LEN: usize = 32;
const BYTES: usize = 24;

const WALK: Walk = Walk { n_max: 31, start: -0.9, step: 0.05, n_steps: 36, deviation: Deviation::Squared };

/// The codec.
pub static CODEC: Codec = Codec {
    name: "Q5_1",
    version: 1,
    wire_id: 7,
    block_len: LEN,
    block_bytes: BYTES,
    fallback: None,
    importance: Importance::Used,
    encode_row,
    decode_row,
    vector: Vector::NONE,
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
    let d = (max - min) / 31.0;
    let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
    let mut codes = [0; LEN];
    for (code, value) in codes.iter_mut().zip(x) {
        // The cast cuts towards zero, so the half makes it round.
        *code = truncate((value - min) * inverse + 0.5) as u8;
    }
    write_block(block, d, min, &codes);
}

fn write_block(block: &mut [u8; BYTES], d: f32, min: f32, codes: &[u8; LEN]) {
    block[..2].copy_from_slice(&f32_to_f16(d).to_le_bytes());
    block[2..4].copy_from_slice(&f32_to_f16(min).to_le_bytes());
    let mut high = 0_u32;
    for (j, code) in codes.iter().enumerate() {
        high |= u32::from(code >> 4) << j;
    }
    block[4..8].copy_from_slice(&high.to_le_bytes());
    for (j, byte) in block[8..].iter_mut().enumerate() {
        *byte = codes[j] & 15 | (codes[j + 16] & 15) << 4;
    }
}

fn decode_row(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<BYTES>().0.iter().zip(out.as_chunks_mut::<LEN>().0) {
        let d = f16_to_f32(u16::from_le_bytes([block[0], block[1]]));
        let min = f16_to_f32(u16::from_le_bytes([block[2], block[3]]));
        let high = u32::from_le_bytes([block[4], block[5], block[6], block[7]]);
        for (j, byte) in block[8..].iter().enumerate() {
            out[j] = (u32::from(byte & 15) | ((high >> j) & 1) << 4) as f32 * d + min;
            out[j + 16] = (u32::from(byte >> 4) | ((high >> (j + 16)) & 1) << 4) as f32 * d + min;
        }
    }
}
