//! TQ1_0: 256 weights in 54 bytes, 1.6875 bits per weight; made for ternary weights.
//!
//! Codes of 0, 1 or 2 and one f16 scale `d`: `w ~= d * (q - 1)`, with `d = max |w|`. Five codes share a byte: as the
//! digits of a number to base three, the first the highest, which is then stretched from `0..243` to `0..256` and
//! rounded up, so that multiplying by three carries one digit after the other out at the top.
//!
//! Byte `m` of a group of `n` bytes holds weights `m`, `m + n`, `m + 2 n`, ... of the group; there are three groups, of
//! 32, 16 and 4 bytes, and the last holds four codes a byte. `d` comes at the end. Importance changes nothing.
//!
//! Source: `block_tq1_0` of ggml-common.h. Bytes are compared with ggml's in `tests/golden.rs`.

use mc_tensor::convert::{f16_to_f32, f32_to_f16};

use crate::codec::{Codec, Importance, Vector};
use crate::q4_0;
use crate::search::ternary;

const LEN: usize = 256;
const D: usize = 52;
const BYTES: usize = D + 2;

/// Bytes of each group and codes in each of its bytes.
const GROUPS: [(usize, usize); 3] = [(32, 5), (16, 5), (4, 4)];
const N_DIGITS: usize = 5;
const POWERS: [u8; N_DIGITS] = [1, 3, 9, 27, 81];

/// The codec.
pub static CODEC: Codec = Codec {
    name: "TQ1_0",
    version: 1,
    wire_id: 34,
    block_len: LEN,
    block_bytes: BYTES,
    fallback: Some(&q4_0::CODEC),
    importance: Importance::Ignored,
    encode_row,
    decode_row,
    vector: Vector::NONE,
};

fn encode_row(row: &[f32], _importance: Option<&[f32]>, out: &mut [u8]) {
    for (x, block) in row.as_chunks::<LEN>().0.iter().zip(out.as_chunks_mut::<BYTES>().0) {
        let (d, codes) = ternary(x);
        let (mut codes, mut bytes) = (codes.as_slice(), &mut block[..]);
        for (n_bytes, n_codes) in GROUPS {
            let (group, rest) = bytes.split_at_mut(n_bytes);
            for (m, byte) in group.iter_mut().enumerate() {
                let code = |n: usize| if n < n_codes { u16::from(codes[m + n * n_bytes]) } else { 0 };
                let number = (0..N_DIGITS).fold(0, |number, n| number * 3 + code(n));
                *byte = (number * 256).div_ceil(243) as u8;
            }
            (codes, bytes) = (&codes[n_bytes * n_codes..], rest);
        }
        bytes.copy_from_slice(&f32_to_f16(d).to_le_bytes());
    }
}

fn decode_row(blocks: &[u8], out: &mut [f32]) {
    for (block, out) in blocks.as_chunks::<BYTES>().0.iter().zip(out.as_chunks_mut::<LEN>().0) {
        let d = f16_to_f32(u16::from_le_bytes([block[D], block[D + 1]]));
        let (mut bytes, mut values) = (&block[..D], &mut out[..]);
        for (n_bytes, n_codes) in GROUPS {
            let (group, rest) = values.split_at_mut(n_bytes * n_codes);
            for (values, power) in group.chunks_exact_mut(n_bytes).zip(POWERS) {
                for (value, byte) in values.iter_mut().zip(bytes) {
                    let code = (u16::from(byte.wrapping_mul(power)) * 3) >> 8;
                    *value = (f32::from(code) - 1.0) * d;
                }
            }
            (bytes, values) = (&bytes[n_bytes..], rest);
        }
    }
}
