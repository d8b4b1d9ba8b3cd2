//! Q4_K: 256 weights in 144 bytes, 4.5 bits per weight.
//!
//! Eight sub-blocks of 32 weights with 6-bit scales and minima (see [`crate::layouts::k_scales`]) and 4-bit codes. Byte `i` of
//! each 32 bytes of codes holds code `i` of one sub-block in its lower half and of the next in its upper.
//!
//! Source: `block_q4_K` of ggml-common.h. Bytes are compared with ggml's in `tests/golden.rs`.

use crate::blocks::q5_0;
use crate::codec::{Codec, Importance, Rows, Vector};
use crate::lanes::Simd;
use crate::lanes::blocks::{self, DecodeBlock};
use crate::layouts::k_scales::{Head, LEN, Layout};
use crate::search::{Deviation, Walk};
use mc_tensor::cpu_path::CpuPath;

const BYTES: usize = Head::BYTES + LEN / 2;
const WALK: Walk = Walk { n_max: 15, start: -1.0, step: 0.1, n_steps: 20, deviation: Deviation::Squared };
const IMPORTANCE_WALK: Walk =
    Walk { n_max: 15, start: -0.9, step: 0.05, n_steps: 36, deviation: Deviation::Squared };

/// The codec.
pub static CODEC: Codec = Codec {
    name: "Q4_K",
    version: 2,
    block_len: LEN,
    block_bytes: BYTES,
    fallback: Some(&q5_0::CODEC),
    importance: Importance::Used,
    encode_row,
    decode_row,
    vector: Vector { encode: Some(encode_vector), decode: Some(blocks::decode::<Block, LEN, BYTES>) },
};

/// The search and the writing of a block.
const LAYOUT: Layout<BYTES, 15> =
    Layout { walk: WALK, importance_walk: IMPORTANCE_WALK, code_limit: u8::MAX, write: write_block };

fn encode_row(row: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
    LAYOUT.encode_row(row, importance, out);
}

fn encode_vector(path: CpuPath, rows: &Rows<'_>, out: &mut [u8]) -> bool {
    LAYOUT.encode_vector(path, rows, out)
}

fn write_block(head: &Head, codes: &[u8; LEN], block: &mut [u8; BYTES]) {
    head.write(block);
    for (codes, bytes) in codes.as_chunks::<64>().0.iter().zip(block[Head::BYTES..].chunks_exact_mut(32)) {
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = codes[i] | codes[i + 32] << 4;
        }
    }
}

fn decode_row(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<BYTES>().0.iter().zip(out.as_chunks_mut::<LEN>().0) {
        let head = Head::read(block);
        for (pair, (bytes, out)) in
            block[Head::BYTES..].chunks_exact(32).zip(out.as_chunks_mut::<64>().0).enumerate()
        {
            let (scale, min) = head.scale_and_min(2 * pair);
            let (next_scale, next_min) = head.scale_and_min(2 * pair + 1);
            for (i, byte) in bytes.iter().enumerate() {
                out[i] = scale * f32::from(byte & 15) - min;
                out[i + 32] = next_scale * f32::from(byte >> 4) - next_min;
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
        let low = &block[Head::BYTES..];
        for (pair, (low, out)) in low.chunks_exact(32).zip(out.as_chunks_mut::<64>().0).enumerate() {
            let (scale, min) = (S::splat(scales[2 * pair].0), S::splat(scales[2 * pair].1));
            let (next_scale, next_min) = (S::splat(scales[2 * pair + 1].0), S::splat(scales[2 * pair + 1].1));
            for first in (0..32).step_by(S::N) {
                let low = S::load_bytes(&low[first..]);
                let (codes, next_codes) = (low & S::splat_i(15), S::shr::<4>(low));
                S::store(scale * S::to_f(codes) - min, &mut out[first..]);
                S::store(next_scale * S::to_f(next_codes) - next_min, &mut out[first + 32..]);
            }
        }
    }
}
