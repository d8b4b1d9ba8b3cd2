//! Q5_K: 256 weights in 176 bytes, 5.5 bits per weight.
//!
//! Like Q4_K with a fifth bit: bit `s` of high byte `i` belongs to code `i` of sub-block `s`.
//!
//! Source: `block_q5_K` of ggml-common.h. Bytes are compared with ggml's in `tests/golden.rs`.

use crate::blocks::q5_1;
use crate::codec::{Codec, Importance, Rows, Vector};
use crate::lanes::Simd;
use crate::lanes::blocks::{self, DecodeBlock};
use crate::layouts::k_scales::{Head, LEN, Layout};
use crate::search::{Deviation, Walk};
use mc_tensor::cpu_path::CpuPath;

const HIGH: usize = Head::BYTES;
const LOW: usize = HIGH + 32;
const BYTES: usize = LOW + LEN / 2;
const WALK: Walk = Walk { n_max: 31, start: -0.5, step: 0.1, n_steps: 15, deviation: Deviation::Squared };
const IMPORTANCE_WALK: Walk =
    Walk { n_max: 31, start: -0.9, step: 0.05, n_steps: 36, deviation: Deviation::Squared };

/// The codec.
pub static CODEC: Codec = Codec {
    name: "Q5_K",
    version: 2,
    block_len: LEN,
    block_bytes: BYTES,
    fallback: Some(&q5_1::CODEC),
    importance: Importance::Used,
    encode_row,
    decode_row,
    vector: Vector { encode: Some(encode_vector), decode: Some(blocks::decode::<Block, LEN, BYTES>) },
};

/// The search and the writing of a block.
const LAYOUT: Layout<BYTES, 31> =
    Layout { walk: WALK, importance_walk: IMPORTANCE_WALK, code_limit: 63, write: write_block };

fn encode_row(row: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
    LAYOUT.encode_row(row, importance, out);
}

fn encode_vector(path: CpuPath, rows: &Rows<'_>, out: &mut [u8]) -> bool {
    LAYOUT.encode_vector(path, rows, out)
}

fn write_block(head: &Head, codes: &[u8; LEN], block: &mut [u8; BYTES]) {
    head.write(block);
    let (high, low) = block[HIGH..].split_at_mut(LOW - HIGH);
    high.fill(0);
    for (pair, (codes, low)) in codes.as_chunks::<64>().0.iter().zip(low.chunks_exact_mut(32)).enumerate() {
        for i in 0..32 {
            low[i] = codes[i] & 15 | (codes[i + 32] & 15) << 4;
            high[i] |= (codes[i] >> 4) << (2 * pair) | (codes[i + 32] >> 4) << (2 * pair + 1);
        }
    }
}

fn decode_row(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<BYTES>().0.iter().zip(out.as_chunks_mut::<LEN>().0) {
        let head = Head::read(block);
        let (high, low) = block[HIGH..].split_at(LOW - HIGH);
        for (pair, (low, out)) in low.chunks_exact(32).zip(out.as_chunks_mut::<64>().0).enumerate() {
            let (scale, min) = head.scale_and_min(2 * pair);
            let (next_scale, next_min) = head.scale_and_min(2 * pair + 1);
            for i in 0..32 {
                let bits = high[i] >> (2 * pair);
                out[i] = scale * f32::from(low[i] & 15 | (bits & 1) << 4) - min;
                out[i + 32] = next_scale * f32::from(low[i] >> 4 | (bits & 2) << 3) - next_min;
            }
        }
    }
}

/// [`decode_row`] in lanes.
struct Block;

impl DecodeBlock<LEN, BYTES> for Block {
    #[inline(always)]
    fn decode<S: Simd>(block: &[u8; BYTES], out: &mut [f32; LEN]) {
        let scales = Head::read(block).scales_and_mins();
        let (high, low) = block[HIGH..].split_at(LOW - HIGH);
        for (pair, (low, out)) in low.chunks_exact(32).zip(out.as_chunks_mut::<64>().0).enumerate() {
            let (scale, min) = (S::splat(scales[2 * pair].0), S::splat(scales[2 * pair].1));
            let (next_scale, next_min) = (S::splat(scales[2 * pair + 1].0), S::splat(scales[2 * pair + 1].1));
            for first in (0..32).step_by(S::N) {
                let low = S::load_bytes(&low[first..]);
                let bits = S::shr_each(S::load_bytes(&high[first..]), S::splat_i(2 * pair as i32));
                let codes = low & S::splat_i(15) | S::shl::<4>(bits & S::splat_i(1));
                let next_codes = S::shr::<4>(low) | S::shl::<3>(bits & S::splat_i(2));
                S::store(scale * S::to_f(codes) - min, &mut out[first..]);
                S::store(next_scale * S::to_f(next_codes) - next_min, &mut out[first + 32..]);
            }
        }
    }
}
