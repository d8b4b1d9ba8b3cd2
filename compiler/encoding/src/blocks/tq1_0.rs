//! TQ1_0: 256 weights in 54 bytes, 1.6875 bits per weight; for ternary weights.
//!
//! Codes of 0, 1 or 2 and one f16 scale `d`: `w ~= d * (q - 1)`, with `d = max |w|`. Five codes share a byte: they are
//! the digits of a base-three number, the first one highest, which is then stretched from `0..243` to `0..256` and
//! rounded up, so that each multiplication by three carries out one digit at the top.
//!
//! Byte `m` of a group of `n` bytes holds weights `m`, `m + n`, `m + 2 n`, ... of the group; there are three groups, of
//! 32, 16 and 4 bytes, and the last holds four codes per byte. `d` comes at the end. Importance has no effect.
//!
//! Source: `block_tq1_0` of ggml-common.h. Bytes are compared with ggml's in `tests/golden.rs`.

use mc_tensor::convert::{f16_to_f32, f32_to_f16};

use crate::blocks::q4_0;
use crate::codec::{Codec, Importance, Vector};
use crate::lanes::Simd;
use crate::lanes::blocks::{self, DecodeBlock};
use crate::search::extremes::{EncodeScaled, ternary_codes};
use crate::search::ternary;

const LEN: usize = 256;
const D: usize = 52;
const BYTES: usize = D + 2;

/// Bytes per group and codes per byte.
const GROUPS: [(usize, usize); 3] = [(32, 5), (16, 5), (4, 4)];
/// Number of codes in the last group.
const LAST: usize = 16;
const N_DIGITS: usize = 5;
const POWERS: [u8; N_DIGITS] = [1, 3, 9, 27, 81];

/// The codec.
pub static CODEC: Codec = Codec {
    name: "TQ1_0",
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
        let (mut codes, mut bytes) = (codes.as_slice(), &mut block[..]);
        for (n_bytes, n_codes) in GROUPS {
            let (group, rest) = bytes.split_at_mut(n_bytes);
            encode_group(codes, (n_bytes, n_codes), group);
            (codes, bytes) = (&codes[n_bytes * n_codes..], rest);
        }
        bytes.copy_from_slice(&f32_to_f16(d).to_le_bytes());
    }
}

/// Encodes a group, whose codes come first in `codes`.
#[inline(always)]
fn encode_group(codes: &[u8], (n_bytes, n_codes): (usize, usize), bytes: &mut [u8]) {
    for (m, byte) in bytes.iter_mut().enumerate() {
        let code = |n: usize| if n < n_codes { u16::from(codes[m + n * n_bytes]) } else { 0 };
        let number = (0..N_DIGITS).fold(0, |number, n| number * 3 + code(n));
        *byte = (number * 256).div_ceil(243) as u8;
    }
}

/// [`encode_row`] and [`decode_row`] in lanes.
struct Block;

impl EncodeScaled<LEN, BYTES> for Block {
    const DIVISOR: f32 = 1.0;

    #[inline(always)]
    fn encode_block<S: Simd>(x: &[f32; LEN], inverse: S::F, half: [u8; 2], block: &mut [u8; BYTES]) {
        block[D..].copy_from_slice(&half);
        let (mut at, mut byte) = (0, 0);
        for (n_bytes, n_codes) in &GROUPS[..2] {
            for first in (0..*n_bytes).step_by(S::N) {
                let mut number = S::splat_i(0);
                for n in 0..*n_codes {
                    let code = ternary_codes::<S>(&x[at + n * n_bytes + first..], inverse);
                    // The result of an infinite inverse has the code only in its lower bits.
                    number = number + number + number + (code & S::splat_i(3));
                }
                S::store_bytes(stretch::<S>(number), &mut block[byte + first..]);
            }
            at += n_bytes * n_codes;
            byte += n_bytes;
        }
        let mut codes = [0; LAST];
        for first in (0..LAST).step_by(S::N) {
            let code = ternary_codes::<S>(&x[at + first..], inverse);
            S::store_bytes(code, &mut codes[first..]);
        }
        encode_group(&codes, GROUPS[2], &mut block[byte..D]);
    }
}

/// `number * 256 / 243`, rounded up, for five-digit numbers.
#[inline(always)]
fn stretch<S: Simd>(number: S::I) -> S::I {
    S::truncate(S::to_f(number) * S::splat(256.0 / 243.0) + S::splat(0.997))
}

fn decode_row(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<BYTES>().0.iter().zip(out.as_chunks_mut::<LEN>().0) {
        let d = f16_to_f32(u16::from_le_bytes([block[D], block[D + 1]]));
        let (mut bytes, mut values) = (&block[..D], &mut out[..]);
        for (n_bytes, n_codes) in GROUPS {
            let (group, rest) = values.split_at_mut(n_bytes * n_codes);
            decode_group(bytes, (n_bytes, n_codes), d, group);
            (bytes, values) = (&bytes[n_bytes..], rest);
        }
    }
}

/// Decodes a group, whose bytes come first in `bytes`.
#[inline(always)]
fn decode_group(bytes: &[u8], (n_bytes, n_codes): (usize, usize), d: f32, out: &mut [f32]) {
    for (values, power) in out.chunks_exact_mut(n_bytes).zip(&POWERS[..n_codes]) {
        for (value, byte) in values.iter_mut().zip(bytes) {
            let code = (u16::from(byte.wrapping_mul(*power)) * 3) >> 8;
            *value = (f32::from(code) - 1.0) * d;
        }
    }
}

impl DecodeBlock<LEN, BYTES> for Block {
    #[inline(always)]
    fn decode<S: Simd>(block: &[u8; BYTES], out: &mut [f32; LEN]) {
        let d = S::splat(f16_to_f32(u16::from_le_bytes([block[D], block[D + 1]])));
        let (mut byte, mut at) = (0, 0);
        for (n_bytes, n_codes) in &GROUPS[..2] {
            for first in (0..*n_bytes).step_by(S::N) {
                let mut bytes = S::load_bytes(&block[byte + first..]);
                for n in 0..*n_codes {
                    // Three times the byte has a code above its eight bits, and the rest of the number in them.
                    let carried = bytes + bytes + bytes;
                    let code = S::shr::<8>(carried) - S::splat_i(1);
                    S::store(S::to_f(code) * d, &mut out[at + n * n_bytes + first..]);
                    bytes = carried & S::splat_i(255);
                }
            }
            byte += n_bytes;
            at += n_bytes * n_codes;
        }
        let d = f16_to_f32(u16::from_le_bytes([block[D], block[D + 1]]));
        decode_group(&block[byte..D], GROUPS[2], d, &mut out[at..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::portable::Portable;

    #[test]
    fn numbers_of_five_digits_are_stretched_exactly() {
        type One = Portable<1>;
        for number in 0..243 {
            let mut stretched = [0];
            One::store_bytes(stretch::<One>(One::splat_i(number)), &mut stretched);
            assert_eq!(i32::from(stretched[0]), (number * 256 + 242) / 243);
        }
    }
}
