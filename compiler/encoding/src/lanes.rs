//! SIMD abstraction for the vector paths of the codecs.
//!
//! A kernel is generic over `Simd` and is compiled once per width (`dispatch`). Each lane performs the operations
//! of the scalar code in the same order, so every path gives the same bytes; `tests/paths.rs` compares them. A lane is
//! usually a sub-block rather than a position within one, because sums within a sub-block have a fixed order.
//!
//! `portable::Portable` is the safe counterpart of the paths with intrinsics.

#[cfg(target_arch = "x86_64")]
pub mod avx2;
#[cfg(target_arch = "x86_64")]
pub mod avx512;
pub mod blocks;
pub(crate) mod dispatch;
#[cfg(target_arch = "x86_64")]
mod intrinsics;
pub mod portable;
#[cfg(target_arch = "x86_64")]
mod transpose;

use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Not, Sub};

/// Maximum number of lanes of any path.
pub(crate) const MAX_LANES: usize = 16;

/// A vector instruction set: `N` lanes of f32, of i32, and of Booleans.
///
/// Only code inside [`Kernel::run`] may use it, and all of that code is `#[inline(always)]`: only inlined code is
/// compiled with the instructions that [`dispatch::run`] detected on the CPU.
pub(crate) trait Simd: Copy + 'static {
    /// Number of lanes.
    const N: usize;
    /// Lanes of f32.
    type F: Copy
        + Add<Output = Self::F>
        + Sub<Output = Self::F>
        + Mul<Output = Self::F>
        + Div<Output = Self::F>;
    /// Lanes of i32; addition and subtraction wrap.
    type I: Copy
        + Add<Output = Self::I>
        + Sub<Output = Self::I>
        + BitAnd<Output = Self::I>
        + BitOr<Output = Self::I>
        + BitXor<Output = Self::I>;
    /// Lanes of Booleans.
    type M: Copy + BitAnd<Output = Self::M> + BitOr<Output = Self::M> + Not<Output = Self::M>;

    /// The same number in every lane.
    fn splat(x: f32) -> Self::F;
    /// The same number in every lane.
    fn splat_i(x: i32) -> Self::I;
    /// The first `N` numbers.
    fn load(x: &[f32]) -> Self::F;
    /// Writes the first `N` numbers.
    fn store(x: Self::F, out: &mut [f32]);
    /// The first `N` numbers.
    fn load_i(x: &[i32]) -> Self::I;
    /// Writes the first `N` numbers.
    fn store_i(x: Self::I, out: &mut [i32]);
    /// The first `N` bytes, widened.
    fn load_bytes(x: &[u8]) -> Self::I;
    /// Writes the lower byte of every lane.
    fn store_bytes(x: Self::I, out: &mut [u8]);
    /// The first `N` little-endian halves, widened.
    fn load_halves(x: &[u8]) -> Self::I;
    /// Writes the lower half of every lane, little-endian.
    fn store_halves(x: Self::I, out: &mut [u8]);
    /// `K` numbers from each of `N` positions: lane `l` of result `i` is `x[starts[l] + i]`.
    fn columns<const K: usize>(x: &[f32], starts: &[usize; MAX_LANES]) -> [Self::F; K];
    /// The inverse of [`Self::columns`]: writes lane `l` of number `i` to `rows[l][i]`.
    fn store_rows<const K: usize>(x: &[Self::F; K], rows: &mut [[f32; K]; MAX_LANES]);
    /// `K` numbers from each of `N` contiguous groups: lane `l` of result `i` is `x[K l + i]`.
    fn groups<const K: usize>(x: &[f32]) -> [Self::F; K];
    /// Looks up entries of a table; its length is a power of two, and indices are taken modulo it.
    fn lookup<const LEN: usize>(table: &[f32; LEN], index: Self::I) -> Self::F;
    /// Looks up entries of a table; its length is a power of two, and indices are taken modulo it.
    fn lookup_i<const LEN: usize>(table: &[i32; LEN], index: Self::I) -> Self::I;
    /// Permutes the lanes of `x` by the indices, which are taken modulo `N`.
    fn permute(x: Self::F, index: Self::I) -> Self::F;
    /// Writes the lanes where the mask is true contiguously and returns their number. The rest of the `N` numbers is
    /// unspecified.
    fn compress(x: Self::I, mask: Self::M, out: &mut [i32]) -> usize;
    /// The minimum of all lanes, in every lane; no lane is NaN.
    fn least(x: Self::F) -> Self::F;
    /// Looks up entries of a table with twice as many entries as lanes; indices are taken modulo its length.
    fn pick_of_two(table: [Self::F; 2], index: Self::I) -> Self::F;
    /// The minimum; `b` if they are equal or either is NaN.
    fn min(a: Self::F, b: Self::F) -> Self::F;
    /// The maximum; `b` if they are equal or either is NaN.
    fn max(a: Self::F, b: Self::F) -> Self::F;
    /// The maximum of all lanes; no lane is NaN, and of two zeros it is either.
    fn reduce_max(x: Self::F) -> f32;
    /// The square root, correctly rounded.
    fn sqrt(x: Self::F) -> Self::F;
    /// `a < b`.
    fn lt(a: Self::F, b: Self::F) -> Self::M;
    /// `a <= b`.
    fn le(a: Self::F, b: Self::F) -> Self::M;
    /// `a == b`.
    fn eq(a: Self::F, b: Self::F) -> Self::M;
    /// `a` where the mask is true, `b` elsewhere.
    fn select(mask: Self::M, a: Self::F, b: Self::F) -> Self::F;
    /// `a` where the mask is true, `b` elsewhere.
    fn select_i(mask: Self::M, a: Self::I, b: Self::I) -> Self::I;
    /// Returns true if any lane is true.
    fn any(mask: Self::M) -> bool;
    /// One bit per lane, the first lowest.
    fn mask_bits(mask: Self::M) -> u32;
    /// The inverse of [`Self::mask_bits`]; upper bits are ignored.
    fn from_mask_bits(bits: u32) -> Self::M;
    /// The bits of numbers.
    fn bits(x: Self::F) -> Self::I;
    /// The numbers with these bits.
    fn from_bits(x: Self::I) -> Self::F;
    /// The nearest f32 to integers.
    fn to_f(x: Self::I) -> Self::F;
    /// Truncates towards zero; NaN and values out of range become `i32::MIN`.
    fn truncate(x: Self::F) -> Self::I;
    /// The minimum.
    fn min_i(a: Self::I, b: Self::I) -> Self::I;
    /// The maximum.
    fn max_i(a: Self::I, b: Self::I) -> Self::I;
    /// `a == b`.
    fn eq_i(a: Self::I, b: Self::I) -> Self::M;
    /// `a > b`.
    fn gt_i(a: Self::I, b: Self::I) -> Self::M;
    /// Shifts bits left.
    fn shl<const BITS: u32>(x: Self::I) -> Self::I;
    /// Shifts bits right, filling with zeros.
    fn shr<const BITS: u32>(x: Self::I) -> Self::I;
    /// Shifts bits right by each lane's own amount below 32, filling with zeros.
    fn shr_each(x: Self::I, n_bits: Self::I) -> Self::I;
    /// The f32 of f16 bits, which are the lower half of each lane; exact.
    fn from_f16(x: Self::I) -> Self::F;
    /// The bits of the nearest f16, ties to even, in the lower half of each lane.
    fn to_f16(x: Self::F) -> Self::I;

    /// The magnitude.
    #[inline(always)]
    fn abs(x: Self::F) -> Self::F {
        Self::from_bits(Self::bits(x) & Self::splat_i(i32::MAX))
    }

    /// The negative.
    #[inline(always)]
    fn neg(x: Self::F) -> Self::F {
        Self::from_bits(Self::bits(x) ^ Self::splat_i(i32::MIN))
    }

    /// [`crate::rounding::nearest_int`] of every lane.
    #[inline(always)]
    fn nearest_int(x: Self::F) -> Self::I {
        let bits = Self::bits(x + Self::splat(12_582_912.0));
        (bits & Self::splat_i(0x007f_ffff)) - Self::splat_i(0x0040_0000)
    }

    /// Rounds, halves away from zero, and truncates each lane as [`crate::rounding::truncate`] does; for magnitudes
    /// under 2^22. NaN becomes `i32::MIN`.
    #[inline(always)]
    fn round_away(x: Self::F) -> Self::I {
        // The largest number below one half: adding one half itself could round up to the next integer.
        let half = Self::bits(Self::splat(0.5_f32.next_down()));
        let sign = Self::bits(x) & Self::splat_i(i32::MIN);
        Self::truncate(x + Self::from_bits(half | sign))
    }

    /// Clamps numbers to `low..=high`; `low` is not above `high`.
    #[inline(always)]
    fn clamp_i(x: Self::I, low: i32, high: i32) -> Self::I {
        Self::min_i(Self::max_i(x, Self::splat_i(low)), Self::splat_i(high))
    }
}

/// Code that is compiled for every width.
pub(crate) trait Kernel {
    /// Runs the kernel; implementations and all functions that they call are `#[inline(always)]`.
    fn run<S: Simd>(self);
}
