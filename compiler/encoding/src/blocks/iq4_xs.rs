//! IQ4_XS: 256 weights in 136 bytes, 4.25 bits per weight.
//!
//! Eight sub-blocks of 32 weights with 6-bit scales under one f16 number and 4-bit codes of unevenly spaced values (see
//! [`crate::layouts::iq4`]): `w ~= d * (scale[s] - 32) * VALUES[q]`. A u16 holds the upper 2 bits of the scales, four
//! bytes the lower 4.
//!
//! Source: `block_iq4_xs` of ggml-common.h. Bytes are compared with ggml's in `tests/golden.rs`.

use mc_tensor::convert::{f16_to_f32, f32_to_f16};

use crate::blocks::iq4_nl;
use crate::codec::{Codec, Importance, Vector};
use crate::lanes::Simd;
use crate::lanes::blocks::{self, DecodeBlock};
use crate::layouts::iq4::{self, SUB_LEN};
use crate::layouts::iq4_lanes;
use crate::rounding::nearest_int;
use crate::rows::encode_blocks;
use crate::search::extreme;
use crate::search::super_blocks::{self, EncodeWindow, MAX_SUBS, WINDOW, Window};

const LEN: usize = 256;
const N_SUBS: usize = LEN / SUB_LEN;
const LOW_SCALES: usize = 4;
const CODES: usize = LOW_SCALES + N_SUBS / 2;
const BYTES: usize = CODES + LEN / 2;

/// The codec.
pub static CODEC: Codec = Codec {
    name: "IQ4_XS",
    version: 1,
    block_len: LEN,
    block_bytes: BYTES,
    fallback: Some(&iq4_nl::CODEC),
    importance: Importance::Used,
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

fn encode_block(x: &[f32; LEN], importance: Option<&[f32; LEN]>, block: &mut [u8; BYTES]) {
    let sigma2 = iq4::sigma2(x);
    let mut scales = [0.0_f32; N_SUBS];
    for (sub, (x, scale)) in x.as_chunks::<SUB_LEN>().0.iter().zip(&mut scales).enumerate() {
        let importance = importance.map(|weights| &weights.as_chunks::<SUB_LEN>().0[sub]);
        *scale = iq4::scale(x, importance, sigma2);
    }
    let inverses = write_scales(&scales, block);
    let subs = x.as_chunks::<SUB_LEN>().0.iter().zip(block[CODES..].chunks_exact_mut(SUB_LEN / 2));
    for ((x, codes), inverse) in subs.zip(inverses) {
        iq4::write_codes(x, inverse, codes);
    }
}

/// Writes the scales; returns the inverses of the scales before `d` is rounded to f16, with which the codes are chosen.
fn write_scales(scales: &[f32; N_SUBS], block: &mut [u8; BYTES]) -> [f32; N_SUBS] {
    let (max_scale, _) = extreme(scales);
    let d = -max_scale / 32.0;
    block[..2].copy_from_slice(&f32_to_f16(d).to_le_bytes());
    let inverse = iq4::inverse(d);
    let (mut high_scales, mut low_scales) = (0_u16, 0_u32);
    let mut inverses = [0.0; N_SUBS];
    for (sub, scale) in scales.iter().enumerate() {
        let scale = nearest_int(inverse * scale).clamp(-32, 31);
        inverses[sub] = iq4::inverse(d * scale as f32);
        let code = (scale + 32) as u16;
        high_scales |= (code >> 4) << (2 * sub);
        low_scales |= u32::from(code & 15) << (4 * sub);
    }
    block[2..LOW_SCALES].copy_from_slice(&high_scales.to_le_bytes());
    block[LOW_SCALES..CODES].copy_from_slice(&low_scales.to_le_bytes());
    inverses
}

/// [`encode_row`] and [`decode_row`] in lanes.
struct Block;

impl EncodeWindow<LEN, BYTES> for Block {
    #[inline(always)]
    fn encode<S: Simd>(window: &Window<'_>, blocks: &mut [[u8; BYTES]]) {
        let mut sigma2 = window.sums_of_squares::<S>();
        for sigma2 in &mut sigma2 {
            *sigma2 *= 2.0 / LEN as f32;
        }
        let mut scales = [0.0; WINDOW * MAX_SUBS];
        iq4_lanes::scales::<S>(window, Some(&sigma2), &mut scales);
        let blocks = window.x.as_chunks::<LEN>().0.iter().zip(blocks);
        for ((x, block), scales) in blocks.zip(scales.as_chunks::<N_SUBS>().0) {
            let inverses = write_scales(scales, block);
            for (sub, x) in x.as_chunks::<SUB_LEN>().0.iter().enumerate() {
                let codes = &mut block[CODES + sub * SUB_LEN / 2..];
                iq4_lanes::write_codes::<S>(x, inverses[sub], codes);
            }
        }
    }
}

fn decode_row(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<BYTES>().0.iter().zip(out.as_chunks_mut::<LEN>().0) {
        let d = f16_to_f32(u16::from_le_bytes([block[0], block[1]]));
        let high_scales = u16::from_le_bytes([block[2], block[3]]);
        let subs = block[CODES..].chunks_exact(SUB_LEN / 2).zip(out.as_chunks_mut::<SUB_LEN>().0);
        for (sub, (codes, out)) in subs.enumerate() {
            let low = block[LOW_SCALES + sub / 2] >> (4 * (sub % 2)) & 15;
            let high = (high_scales >> (2 * sub) & 3) as u8;
            iq4::read_codes(codes, d * (f32::from(low | high << 4) - 32.0), out);
        }
    }
}

impl DecodeBlock<LEN, BYTES> for Block {
    #[inline(always)]
    fn decode<S: Simd>(block: &[u8; BYTES], out: &mut [f32; LEN]) {
        let d = f16_to_f32(u16::from_le_bytes([block[0], block[1]]));
        let high_scales = u16::from_le_bytes([block[2], block[3]]);
        for (sub, out) in out.as_chunks_mut::<SUB_LEN>().0.iter_mut().enumerate() {
            let low = block[LOW_SCALES + sub / 2] >> (4 * (sub % 2)) & 15;
            let high = (high_scales >> (2 * sub) & 3) as u8;
            let scale = d * (f32::from(low | high << 4) - 32.0);
            iq4::decode::<S>(&block[CODES + SUB_LEN / 2 * sub..][..SUB_LEN / 2], scale, out);
        }
    }
}
