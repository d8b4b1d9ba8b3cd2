//! Q1_0: 128 weights in 18 bytes, 1.125 bits per weight.
//!
//! One f16 scale `d`, the mean magnitude, and a bit per weight, lowest bits first: `w ~= d` where it is set, else `-d`.
//! Zero counts as positive. Importance changes nothing.
//!
//! Source: `block_q1_0` of ggml-common.h. Bytes are compared with ggml's in `tests/golden.rs`.

use mc_tensor::convert::{f16_to_f32, f32_to_f16};
use mc_tensor::cpu_path::CpuPath;

use crate::codec::{Codec, Importance, Vector};
use crate::lanes::{self, Kernel, Simd};

const LEN: usize = 128;
const BYTES: usize = 2 + LEN / 8;

/// The codec.
pub static CODEC: Codec = Codec {
    name: "Q1_0",
    version: 1,
    wire_id: 41,
    block_len: LEN,
    block_bytes: BYTES,
    fallback: None,
    importance: Importance::Ignored,
    encode_row,
    decode_row,
    vector: Vector { encode: None, decode: Some(decode_vector) },
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

fn decode_row(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<BYTES>().0.iter().zip(out.as_chunks_mut::<LEN>().0) {
        let d = f16_to_f32(u16::from_le_bytes([block[0], block[1]]));
        for (i, value) in out.iter_mut().enumerate() {
            *value = if block[2 + i / 8] >> (i % 8) & 1 == 1 { d } else { -d };
        }
    }
}

fn decode_vector(path: CpuPath, blocks: &[u8], out: &mut [f32]) -> bool {
    lanes::run(path, Decode { blocks, out })
}

/// [`decode_row`] in lanes.
struct Decode<'a> {
    blocks: &'a [u8],
    out: &'a mut [f32],
}

impl Kernel for Decode<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let blocks = self.blocks.as_chunks::<BYTES>().0;
        for (block, out) in blocks.iter().zip(self.out.as_chunks_mut::<LEN>().0) {
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
}
