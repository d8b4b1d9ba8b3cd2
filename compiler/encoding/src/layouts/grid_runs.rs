//! Decoding of the IQ2 and IQ3 codecs in lanes.
//!
//! Each codec unpacks a block to runs of sixteen codes with their signs and a scale; the conversion of runs to weights
//! is shared.

use crate::lanes::Simd;
use crate::lanes::blocks::DecodeBlock;

const LEN: usize = 256;
const RUN: usize = 16;
const N_RUNS: usize = LEN / RUN;

/// A block as runs of sixteen weights: `w = scale * value(code)`, or its negative.
pub(crate) struct Runs {
    /// The codes.
    pub(crate) codes: [[u8; RUN]; N_RUNS],
    /// One bit per weight, the first lowest, set for negative weights.
    pub(crate) signs: [u16; N_RUNS],
    /// The scales.
    pub(crate) scales: [f32; N_RUNS],
}

/// Unpacking of blocks of `BYTES`; fully `#[inline(always)]`.
pub(crate) trait Unpack<const BYTES: usize> {
    /// Unpacks a block; writes all of `runs`.
    fn unpack(block: &[u8; BYTES], runs: &mut Runs);

    /// The values of codes.
    fn values<S: Simd>(codes: S::I) -> S::I;
}

impl<U: Unpack<BYTES>, const BYTES: usize> DecodeBlock<LEN, BYTES> for U {
    #[inline(always)]
    fn decode<S: Simd>(block: &[u8; BYTES], out: &mut [f32; LEN]) {
        let mut runs = Runs { codes: [[0; RUN]; N_RUNS], signs: [0; N_RUNS], scales: [0.0; N_RUNS] };
        U::unpack(block, &mut runs);
        for (run, out) in out.as_chunks_mut::<RUN>().0.iter_mut().enumerate() {
            let (scale, signs) = (S::splat(runs.scales[run]), u32::from(runs.signs[run]));
            for first in (0..RUN).step_by(S::N) {
                let values = U::values::<S>(S::load_bytes(&runs.codes[run][first..]));
                let weights = scale * S::to_f(values);
                let is_negative = S::from_mask_bits(signs >> first);
                S::store(S::select(is_negative, S::neg(weights), weights), &mut out[first..]);
            }
        }
    }
}

/// The values 8, 25 and 43 of the codes 0, 1 and 2.
#[inline(always)]
pub(crate) fn two_bit_values<S: Simd>(codes: S::I) -> S::I {
    S::shl::<4>(codes) + codes + S::shr::<1>(codes) + S::splat_i(8)
}

/// [`crate::search::lattice::even_signs`] of four groups of seven signs in the lower 28 bits.
#[inline(always)]
pub(crate) fn even_signs(signs: u32) -> u32 {
    let mut bytes = 0;
    for i in 0..4 {
        bytes |= (signs >> (7 * i) & 127) << (8 * i);
    }
    // Bits shifted in from the byte above must not reach the lowest bit.
    let mut parity = bytes ^ bytes >> 4;
    parity ^= parity >> 2;
    parity ^= parity >> 1;
    bytes | (parity & 0x0101_0101) << 7
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::lattice;

    #[test]
    fn signs_are_made_even_side_by_side() {
        for signs in 0..128 {
            let even = u32::from(lattice::even_signs(signs));
            let signs = u32::from(signs);
            assert_eq!(even_signs(signs | signs << 7 | signs << 21), even | even << 8 | even << 24);
        }
    }
}
