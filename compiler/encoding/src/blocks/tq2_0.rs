//! TQ2_0: 256 weights in 66 bytes, 2.0625 bits per weight; for ternary weights.
//!
//! Two-bit codes (see [`crate::layouts::two_bits`]) and one f16 scale `d`: `w ~= d * (q - 1)`, with `d = max |w|`, so
//! that `q` is 0, 1 or 2. Importance has no effect.
//!
//! Source: `block_tq2_0` of ggml-common.h. Bytes are compared with ggml's in `tests/golden.rs`.

use mc_tensor::convert::{f16_to_f32, f32_to_f16};

use crate::blocks::q4_0;
use crate::codec::{Codec, Importance, Vector};
use crate::lanes::Simd;
use crate::lanes::blocks::{self, DecodeBlock};
use crate::layouts::two_bits::{self, LEN};
use crate::search::extremes::{EncodeScaled, ternary_codes};
use crate::search::ternary;

const D: usize = two_bits::BYTES;
const BYTES: usize = D + 2;

/// The codec.
pub static CODEC: Codec = Codec {
    name: "TQ2_0",
    version: 1,
    block_len: LEN,
    block_bytes: BYTES,
    fallback: Some(&q4_0::CODEC),
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
        let (d, codes) = ternary(x);
        block[..D].copy_from_slice(&two_bits::pack(&codes));
        block[D..].copy_from_slice(&f32_to_f16(d).to_le_bytes());
    }
}

/// [`encode_row`] and [`decode_row`] in lanes.
struct Block;

impl EncodeScaled<LEN, BYTES> for Block {
    const DIVISOR: f32 = 1.0;

    #[inline(always)]
    fn encode_block<S: Simd>(x: &[f32; LEN], inverse: S::F, half: [u8; 2], block: &mut [u8; BYTES]) {
        block[D..].copy_from_slice(&half);
        let halves = x.as_chunks::<128>().0.iter().zip(block[..D].as_chunks_mut::<32>().0);
        for (x, bytes) in halves {
            for first in (0..32).step_by(S::N) {
                let a = ternary_codes::<S>(&x[first..], inverse);
                let b = S::shl::<2>(ternary_codes::<S>(&x[first + 32..], inverse));
                let c = S::shl::<4>(ternary_codes::<S>(&x[first + 64..], inverse));
                let d = S::shl::<6>(ternary_codes::<S>(&x[first + 96..], inverse));
                S::store_bytes(a | b | c | d, &mut bytes[first..]);
            }
        }
    }
}

fn decode_row(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<BYTES>().0.iter().zip(out.as_chunks_mut::<LEN>().0) {
        let d = f16_to_f32(u16::from_le_bytes([block[D], block[D + 1]]));
        let codes = two_bits::unpack(block.first_chunk().expect("a block has codes"));
        for (value, code) in out.iter_mut().zip(codes) {
            *value = (f32::from(code) - 1.0) * d;
        }
    }
}

impl DecodeBlock<LEN, BYTES> for Block {
    #[inline(always)]
    fn decode<S: Simd>(block: &[u8; BYTES], out: &mut [f32; LEN]) {
        let d = S::splat(f16_to_f32(u16::from_le_bytes([block[D], block[D + 1]])));
        let halves = block[..D].as_chunks::<32>().0.iter().zip(out.as_chunks_mut::<128>().0);
        for (bytes, out) in halves {
            for first in (0..32).step_by(S::N) {
                let mut bytes = S::load_bytes(&bytes[first..]);
                for quarter in 0..4 {
                    let code = (bytes & S::splat_i(3)) - S::splat_i(1);
                    S::store(S::to_f(code) * d, &mut out[first + 32 * quarter..]);
                    bytes = S::shr::<2>(bytes);
                }
            }
        }
    }
}
