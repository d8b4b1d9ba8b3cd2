//! Codes of four or five bits, 32 to a block, as Q4_0, Q4_1, Q5_0 and Q5_1 pack them.
//!
//! Byte `j` of sixteen holds the lower 4 bits of code `j` in its lower half and those of code `j + 16` in its upper
//! half. For five-bit codes, a u32 with their fifth bits comes first, the first code's lowest.

use crate::lanes::Simd;
use crate::rounding::truncate;

/// Number of codes per block.
pub(crate) const LEN: usize = 32;
const HALF: usize = LEN / 2;

/// Splits packed codes of `BITS` bits into the u32 of their fifth bits, which is zero for four-bit codes, and their
/// lower bits.
#[inline(always)]
fn parts<const BITS: u32>(packed: &[u8]) -> (u32, &[u8]) {
    const { assert!(BITS == 4 || BITS == 5) };
    match packed.split_first_chunk() {
        Some((fifth, low)) if BITS == 5 => (u32::from_le_bytes(*fifth), low),
        _ => (0, packed),
    }
}

/// The largest code of `BITS` bits.
pub(crate) const fn max_code(bits: u32) -> i32 {
    (1 << bits) - 1
}

/// Codes `(x - min) * inverse + half`, truncated towards zero, which rounds.
///
/// * `half`: the code of `min` plus one half
pub(crate) fn codes<const BITS: u32>(x: &[f32; LEN], min: f32, inverse: f32, half: f32) -> [u8; LEN] {
    // The result of an infinite inverse becomes code 0.
    x.map(|value| (truncate((value - min) * inverse + half) as i8).min(max_code(BITS) as i8) as u8)
}

/// Packs codes of `BITS` bits.
#[inline(always)]
pub(crate) fn pack<const BITS: u32>(codes: &[u8; LEN], packed: &mut [u8]) {
    let mut low = packed;
    if BITS == 5 {
        let mut fifth = 0_u32;
        for (j, code) in codes.iter().enumerate() {
            fifth |= u32::from(code >> 4) << j;
        }
        let (bits, rest) = low.split_at_mut(4);
        bits.copy_from_slice(&fifth.to_le_bytes());
        low = rest;
    }
    for (j, byte) in low.iter_mut().enumerate() {
        *byte = codes[j] & 15 | (codes[j + HALF] & 15) << 4;
    }
}

/// Decodes packed codes; `value` maps a code to its weight.
#[inline(always)]
pub(crate) fn decode<const BITS: u32>(packed: &[u8], out: &mut [f32; LEN], value: impl Fn(f32) -> f32) {
    let (fifth, low) = parts::<BITS>(packed);
    let (lower, upper) = out.split_at_mut(HALF);
    for (j, (byte, (lower, upper))) in low.iter().zip(lower.iter_mut().zip(upper)).enumerate() {
        let bit = |place: usize| if BITS == 5 { (fifth >> place & 1) << 4 } else { 0 };
        *lower = value((u32::from(byte & 15) | bit(j)) as f32);
        *upper = value((u32::from(byte >> 4) | bit(j + HALF)) as f32);
    }
}

/// [`pack`] of [`codes`], in lanes.
#[inline(always)]
pub(crate) fn encode<S: Simd, const BITS: u32>(
    x: &[f32; LEN],
    min: S::F,
    inverse: S::F,
    half: f32,
    packed: &mut [u8],
) {
    let four_bits = S::splat_i(15);
    let (bits, low) = packed.split_at_mut(if BITS == 5 { 4 } else { 0 });
    let mut fifth = 0;
    for first in (0..HALF).step_by(S::N) {
        let lower = codes_in_lanes::<S, BITS>(&x[first..], min, inverse, half);
        let upper = codes_in_lanes::<S, BITS>(&x[first + HALF..], min, inverse, half);
        if BITS == 5 {
            fifth |= S::mask_bits(S::gt_i(lower, four_bits)) << first;
            fifth |= S::mask_bits(S::gt_i(upper, four_bits)) << (first + HALF);
            S::store_bytes(lower & four_bits | S::shl::<4>(upper & four_bits), &mut low[first..]);
        } else {
            S::store_bytes(lower | S::shl::<4>(upper), &mut low[first..]);
        }
    }
    if BITS == 5 {
        bits.copy_from_slice(&fifth.to_le_bytes());
    }
}

/// Codes in lanes; the result of an infinite inverse becomes code 0.
#[inline(always)]
fn codes_in_lanes<S: Simd, const BITS: u32>(x: &[f32], min: S::F, inverse: S::F, half: f32) -> S::I {
    let max = S::splat_i(max_code(BITS));
    S::min_i(S::truncate((S::load(x) - min) * inverse + S::splat(half)), max) & max
}

/// Codes in lanes: those from `first` on, and those sixteen positions later.
#[inline(always)]
pub(crate) fn codes_at<S: Simd, const BITS: u32>(packed: &[u8], first: usize) -> [S::I; 2] {
    let (fifth, low) = parts::<BITS>(packed);
    let low = S::load_bytes(&low[first..]);
    let codes = [low & S::splat_i(15), S::shr::<4>(low)];
    if BITS == 4 {
        return codes;
    }
    let [lower, upper] = codes;
    let (zero, bit) = (S::splat_i(0), S::splat_i(16));
    let of_lower = S::from_mask_bits(fifth >> first);
    let of_upper = S::from_mask_bits(fifth >> (first + HALF));
    [lower | S::select_i(of_lower, bit, zero), upper | S::select_i(of_upper, bit, zero)]
}

/// The values of `first` for [`codes_at`], in order.
#[inline(always)]
pub(crate) fn firsts<S: Simd>() -> impl Iterator<Item = usize> {
    (0..HALF).step_by(S::N)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_codes_read_back() {
        let codes = std::array::from_fn(|i| (i * 7 % 32) as u8);
        let (mut packed, mut read) = ([0; 20], [0.0; LEN]);
        pack::<5>(&codes, &mut packed);
        decode::<5>(&packed, &mut read, |code| code);
        assert_eq!(read, codes.map(f32::from));
        let codes = codes.map(|code| code & 15);
        pack::<4>(&codes, &mut packed[..16]);
        decode::<4>(&packed[..16], &mut read, |code| code);
        assert_eq!(read, codes.map(f32::from));
    }
}
