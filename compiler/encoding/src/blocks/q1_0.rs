//! Q1_0: 128 weights in 18 bytes, 1.125 bits per weight.
//!
//! One f16 scale `d`, the mean magnitude, and a bit per weight, lowest bits first: `w ~= d` if it is set, otherwise
//! `-d`. Zero counts as positive. Importance has no effect.
//!
//! Source: `block_q1_0` of ggml-common.h. Bytes are compared with ggml's in `tests/golden.rs`.

use crate::codec::{Codec, Importance, Vector};
use crate::lanes::Simd;
use crate::lanes::blocks::{self, DecodeBlock, EncodeBlocks, WINDOW};
use crate::search::extremes::{OfBlocks, Scales};
use mc_tensor::convert::{f16_to_f32, f32_to_f16};

const LEN: usize = 128;
const BYTES: usize = 2 + LEN / 8;

/// The codec.
pub static CODEC: Codec = Codec {
    name: "Q1_0",
    version: 1,
    block_len: LEN,
    block_bytes: BYTES,
    fallback: None,
    importance: Importance::Ignored,
    encode_row,
    decode_row,
    vector: Vector {
        encode: Some(blocks::encode::<Block, LEN, BYTES>),
        decode: Some(blocks::decode::<Block, LEN, BYTES>),
    },
};

fn encode_row(row: &[f32], _importance: Option<&[f32]>, out: &mut [u8]) {
    for (x, block) in row.as_chunks::<LEN>().0.iter().zip(out.as_chunks_mut::<BYTES>().0) {
        let mut sum = 0.0_f32;
        for value in x {
            sum += value.abs();
        }
        block[..2].copy_from_slice(&f32_to_f16(sum / LEN as f32).to_le_bytes());
        for (byte, x) in block[2..].iter_mut().zip(x.as_chunks::<8>().0) {
            *byte = x.iter().rev().fold(0, |bits, value| bits << 1 | u8::from(*value >= 0.0));
        }
    }
}

/// [`encode_row`] and [`decode_row`] in lanes.
struct Block;

impl EncodeBlocks<LEN, BYTES> for Block {
    #[inline(always)]
    fn encode<S: Simd>(x: &[[f32; LEN]], blocks: &mut [[u8; BYTES]]) {
        let halves = Scales::new::<S>(&sums(x), LEN as f32).halves;
        for (block_idx, (x, block)) in x.iter().zip(blocks).enumerate() {
            let (half, bits) = block.split_at_mut(2);
            half.copy_from_slice(&halves[block_idx]);
            for (bits, x) in bits.as_chunks_mut::<2>().0.iter_mut().zip(x.as_chunks::<16>().0) {
                let mut word = 0;
                for first in (0..16).step_by(S::N) {
                    let is_positive = S::le(S::splat(0.0), S::load(&x[first..]));
                    word |= S::mask_bits(is_positive) << first;
                }
                *bits = (word as u16).to_le_bytes();
            }
        }
    }
}

/// The sum of magnitudes of every block, in order. Blocks are processed in parallel so that none waits for the last
/// addition of another; gathering their numbers into lanes would take longer than the additions.
#[inline(always)]
fn sums(blocks: &[[f32; LEN]]) -> OfBlocks {
    const ABREAST: usize = 8;
    let mut sums = [0.0; WINDOW];
    for (sums, blocks) in sums.chunks_exact_mut(ABREAST).zip(blocks.chunks(ABREAST)) {
        let mut of_blocks = [0.0_f32; ABREAST];
        // The last block fills the places after it.
        let mut abreast = [&blocks[blocks.len() - 1]; ABREAST];
        for (block, x) in abreast.iter_mut().zip(blocks) {
            *block = x;
        }
        for i in 0..LEN {
            for (sum, x) in of_blocks.iter_mut().zip(&abreast) {
                *sum += x[i].abs();
            }
        }
        sums.copy_from_slice(&of_blocks);
    }
    sums
}

fn decode_row(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<BYTES>().0.iter().zip(out.as_chunks_mut::<LEN>().0) {
        let d = f16_to_f32(u16::from_le_bytes([block[0], block[1]]));
        for (i, value) in out.iter_mut().enumerate() {
            *value = if block[2 + i / 8] >> (i % 8) & 1 == 1 { d } else { -d };
        }
    }
}

impl DecodeBlock<LEN, BYTES> for Block {
    #[inline(always)]
    fn decode<S: Simd>(block: &[u8; BYTES], out: &mut [f32; LEN]) {
        let d = S::splat(f16_to_f32(u16::from_le_bytes([block[0], block[1]])));
        let words = block[2..].as_chunks::<2>().0;
        for (word, out) in words.iter().zip(out.as_chunks_mut::<16>().0) {
            let word = u32::from(u16::from_le_bytes(*word));
            for first in (0..16).step_by(S::N) {
                let is_positive = S::from_mask_bits(word >> first);
                S::store(S::select(is_positive, d, S::neg(d)), &mut out[first..]);
            }
        }
    }
}
