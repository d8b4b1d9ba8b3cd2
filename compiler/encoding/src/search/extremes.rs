//! Blocks whose scale follows from their extremes, in lanes: shared by the vector paths of codecs without a search.
//!
//! A window of blocks, small enough to stay in the first-level cache, is read twice: for the extremes, and for the
//! codes with one position per lane. In between, the scales of all blocks are computed with one block per lane. There
//! are no sums, so their order does not require one block per lane.

use crate::lanes::Simd;
use crate::lanes::blocks::{EncodeBlocks, WINDOW};

/// One number per block of a window.
pub(crate) type OfBlocks = [f32; WINDOW];

/// The scales of the blocks of a window.
pub(crate) struct Scales {
    /// The inverse of each scale, or zero.
    pub(crate) inverses: OfBlocks,
    /// Each scale as f16.
    pub(crate) halves: [[u8; 2]; WINDOW],
}

impl Scales {
    /// Creates scales as `extremes / divisor`.
    #[inline(always)]
    pub(crate) fn new<S: Simd>(extremes: &OfBlocks, divisor: f32) -> Self {
        let zero = S::splat(0.0);
        let mut inverses = [0.0; WINDOW];
        let mut halves = [[0; 2]; WINDOW];
        for first in (0..WINDOW).step_by(S::N) {
            let d = S::load(&extremes[first..]) / S::splat(divisor);
            let inverse = S::select(S::eq(d, zero), zero, S::splat(1.0) / d);
            S::store(inverse, &mut inverses[first..]);
            S::store_halves(S::to_f16(d), halves[first..].as_flattened_mut());
        }
        Self { inverses, halves }
    }
}

/// Encoder of blocks whose scale is the largest magnitude divided by a constant; fully `#[inline(always)]`.
pub(crate) trait EncodeScaled<const LEN: usize, const BYTES: usize> {
    /// The divisor.
    const DIVISOR: f32;

    /// Encodes a block, as the codec's `encode_row` does.
    ///
    /// * `inverse`: the inverse of the scale, or zero
    /// * `half`: the scale as f16
    fn encode_block<S: Simd>(x: &[f32; LEN], inverse: S::F, half: [u8; 2], block: &mut [u8; BYTES]);
}

impl<E: EncodeScaled<LEN, BYTES>, const LEN: usize, const BYTES: usize> EncodeBlocks<LEN, BYTES> for E {
    #[inline(always)]
    fn encode<S: Simd>(x: &[[f32; LEN]], blocks: &mut [[u8; BYTES]]) {
        let scales = Scales::new::<S>(&magnitudes::<S, LEN>(x), E::DIVISOR);
        for (block_idx, (x, block)) in x.iter().zip(blocks).enumerate() {
            let inverse = S::splat(scales.inverses[block_idx]);
            E::encode_block::<S>(x, inverse, scales.halves[block_idx], block);
        }
    }
}

/// Numbers as f16.
#[inline(always)]
pub(crate) fn halves<S: Simd>(numbers: &OfBlocks) -> [[u8; 2]; WINDOW] {
    let mut halves = [[0; 2]; WINDOW];
    for first in (0..WINDOW).step_by(S::N) {
        S::store_halves(S::to_f16(S::load(&numbers[first..])), halves[first..].as_flattened_mut());
    }
    halves
}

/// The largest magnitude of every block.
#[inline(always)]
pub(crate) fn magnitudes<S: Simd, const LEN: usize>(blocks: &[[f32; LEN]]) -> OfBlocks {
    let mut found = [0.0; WINDOW];
    for (found, x) in found.iter_mut().zip(blocks) {
        *found = magnitude::<S, LEN>(x);
    }
    found
}

/// The largest magnitude.
#[inline(always)]
pub(crate) fn magnitude<S: Simd, const LEN: usize>(x: &[f32; LEN]) -> f32 {
    let mut max = S::abs(S::load(x));
    for first in (S::N..LEN).step_by(S::N) {
        max = S::max(max, S::abs(S::load(&x[first..])));
    }
    S::reduce_max(max)
}

/// The number with the largest magnitude of every block, the first of equal ones; zero is positive.
#[inline(always)]
pub(crate) fn peaks<S: Simd>(blocks: &[[f32; 32]]) -> OfBlocks {
    let mut found = [0.0; WINDOW];
    for (found, x) in found.iter_mut().zip(blocks) {
        let magnitude = magnitude::<S, 32>(x);
        let mut at = 0;
        for first in (0..32).step_by(S::N) {
            let is_peak = S::eq(S::abs(S::load(&x[first..])), S::splat(magnitude));
            at |= S::mask_bits(is_peak) << first;
        }
        *found = if magnitude > 0.0 { x[at.trailing_zeros() as usize & 31] } else { 0.0 };
    }
    found
}

/// The minimum and the maximum of every block, the first of equal ones.
#[inline(always)]
pub(crate) fn ranges<S: Simd>(blocks: &[[f32; 32]]) -> (OfBlocks, OfBlocks) {
    let (mut mins, mut maxs) = ([0.0; WINDOW], [0.0; WINDOW]);
    for (block_idx, x) in blocks.iter().enumerate() {
        let first = S::load(x);
        let (mut low, mut high) = (S::neg(first), first);
        for first in (S::N..32).step_by(S::N) {
            let x = S::load(&x[first..]);
            low = S::max(low, S::neg(x));
            high = S::max(high, x);
        }
        let (low, high) = (-S::reduce_max(low), S::reduce_max(high));
        // Equal numbers are identical except for zeros, whose sign affects the bytes.
        mins[block_idx] = if low == 0.0 { first_zero(x) } else { low };
        maxs[block_idx] = if high == 0.0 { first_zero(x) } else { high };
    }
    (mins, maxs)
}

/// The first zero, with its sign.
fn first_zero(x: &[f32; 32]) -> f32 {
    x.iter().copied().find(|value| *value == 0.0).unwrap_or(0.0)
}

/// The codes of [`crate::search::ternary`], in the lower bytes.
#[inline(always)]
pub(crate) fn ternary_codes<S: Simd>(x: &[f32], inverse: S::F) -> S::I {
    S::round_away(S::load(x) * inverse) + S::splat_i(1)
}
