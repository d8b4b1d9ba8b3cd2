//! IQ4_NL: 32 weights in 18 bytes, 4.5 bits per weight.
//!
//! One f16 scale and 4-bit codes of uneven values (see [`crate::layouts::iq4`]).
//!
//! Source: `block_iq4_nl` of ggml-common.h. Bytes are compared with ggml's in `tests/golden.rs`.

use mc_tensor::convert::f16_to_f32;
use mc_tensor::cpu_path::CpuPath;

use crate::codec::{Codec, Importance, Rows, Vector};
use crate::lanes::blocks::{self, DecodeBlock};
use crate::lanes::{Kernel, Simd, dispatch};
use crate::layouts::iq4::{self, SUB_LEN as LEN};
use crate::layouts::iq4_lanes;
use crate::rounding::f16_bits;
use crate::search::super_blocks::{self, MAX_SUBS, WINDOW};

const BYTES: usize = 2 + LEN / 2;

/// The codec.
pub static CODEC: Codec = Codec {
    name: "IQ4_NL",
    version: 1,
    wire_id: 20,
    block_len: LEN,
    block_bytes: BYTES,
    fallback: None,
    importance: Importance::Used,
    encode_row,
    decode_row,
    vector: Vector { encode: Some(encode_vector), decode: Some(blocks::decode::<Block, LEN, BYTES>) },
};

fn encode_row(row: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
    let importance = importance.map(|weights| weights.as_chunks::<LEN>().0);
    for (block_idx, (x, block)) in
        row.as_chunks::<LEN>().0.iter().zip(out.as_chunks_mut::<BYTES>().0).enumerate()
    {
        let scale = iq4::scale(x, importance.map(|weights| &weights[block_idx]), iq4::sigma2(x));
        block[..2].copy_from_slice(&f16_bits(scale).to_le_bytes());
        iq4::write_codes(x, iq4::inverse(scale), &mut block[2..]);
    }
}

fn encode_vector(path: CpuPath, rows: &Rows<'_>, out: &mut [u8]) -> bool {
    dispatch::run(path, Encode { rows, out })
}

struct Encode<'a> {
    rows: &'a Rows<'a>,
    out: &'a mut [u8],
}

impl Kernel for Encode<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let blocks = self.out.as_chunks_mut::<BYTES>().0;
        let per_window = WINDOW * super_blocks::LEN / LEN;
        for (window, blocks) in super_blocks::windows(self.rows).zip(blocks.chunks_mut(per_window)) {
            let mut scales = [0.0; WINDOW * MAX_SUBS];
            iq4_lanes::scales::<S>(&window, None, &mut scales);
            for ((x, block), scale) in window.x.as_chunks::<LEN>().0.iter().zip(blocks).zip(scales) {
                block[..2].copy_from_slice(&f16_bits(scale).to_le_bytes());
                iq4_lanes::write_codes::<S>(x, iq4::inverse(scale), &mut block[2..]);
            }
        }
    }
}

fn decode_row(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<BYTES>().0.iter().zip(out.as_chunks_mut::<LEN>().0) {
        let scale = f16_to_f32(u16::from_le_bytes([block[0], block[1]]));
        iq4::read_codes(&block[2..], scale, out);
    }
}

/// [`decode_row`] in lanes.
struct Block;

impl DecodeBlock<LEN, BYTES> for Block {
    #[inline(always)]
    fn decode<S: Simd>(block: &[u8; BYTES], out: &mut [f32; LEN]) {
        let scale = f16_to_f32(u16::from_le_bytes([block[0], block[1]]));
        iq4::decode::<S>(&block[2..], scale, out);
    }
}
