//! Numbers side by side: what vector paths of the codecs are written with.
//!
//! A kernel is generic over [`Simd`] and is compiled once per width ([`dispatch`]). Each lane does the operations of the scalar code
//! in their order, so every path gives the same bytes; `tests/paths.rs` compares them. Mostly a lane is a sub-block
//! rather than a place within one, because sums within a sub-block have an order.
//!
//! [`portable::Portable`] is the safe twin of the paths with intrinsics.

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

/// The most lanes of any path.
pub(crate) const MAX_LANES: usize = 16;

/// A vector instruction set: `N` lanes of f32, of i32, and of truth values.
///
/// Only code inside [`Kernel::run`] may use one, and all of it is `#[inline(always)]`: only inlined code gets the
/// instructions that [`dispatch::run`] found the CPU to have.
pub(crate) trait Simd: Copy + 'static {
    /// Lanes.
    const N: usize;
    /// Lanes of f32.
    type F: Copy
        + Add<Output = Self::F>
        + Sub<Output = Self::F>
        + Mul<Output = Self::F>
        + Div<Output = Self::F>;
    /// Lanes of i32; sums and differences wrap.
    type I: Copy
        + Add<Output = Self::I>
        + Sub<Output = Self::I>
        + BitAnd<Output = Self::I>
        + BitOr<Output = Self::I>
        + BitXor<Output = Self::I>;
    /// Lanes of truth values.
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
    /// `K` numbers from each of `N` places: lane `l` of result `i` is `x[starts[l] + i]`.
    fn columns<const K: usize>(x: &[f32], starts: &[usize; MAX_LANES]) -> [Self::F; K];
    /// What [`Self::columns`] reads, written: lane `l` of number `i` goes to `rows[l][i]`.
    fn store_rows<const K: usize>(x: &[Self::F; K], rows: &mut [[f32; K]; MAX_LANES]);
    /// `K` numbers from each of `N` groups that lie one after the other: lane `l` of result `i` is `x[K l + i]`.
    fn groups<const K: usize>(x: &[f32]) -> [Self::F; K];
    /// The entries of a table; its length is a power of two, and an index counts modulo it.
    fn lookup<const LEN: usize>(table: &[f32; LEN], index: Self::I) -> Self::F;
    /// The entries of a table; its length is a power of two, and an index counts modulo it.
    fn lookup_i<const LEN: usize>(table: &[i32; LEN], index: Self::I) -> Self::I;
    /// The lanes of `x` that the indices name; an index counts modulo `N`.
    fn permute(x: Self::F, index: Self::I) -> Self::F;
    /// Writes the lanes where true side by side; returns how many. What comes after them, within `N`, is lost.
    fn compress(x: Self::I, mask: Self::M, out: &mut [i32]) -> usize;
    /// The least number of all lanes, in every lane; none is no number.
    fn least(x: Self::F) -> Self::F;
    /// The entries of a table of two times as many as there are lanes; an index counts modulo its length.
    fn pick_of_two(table: [Self::F; 2], index: Self::I) -> Self::F;
    /// The lesser; `b` if they are equal or either is no number.
    fn min(a: Self::F, b: Self::F) -> Self::F;
    /// The greater; `b` if they are equal or either is no number.
    fn max(a: Self::F, b: Self::F) -> Self::F;
    /// The greatest lane; all are numbers, and of two zeros it is either.
    fn reduce_max(x: Self::F) -> f32;
    /// The square root, correctly rounded.
    fn sqrt(x: Self::F) -> Self::F;
    /// Whether `a < b`.
    fn lt(a: Self::F, b: Self::F) -> Self::M;
    /// Whether `a <= b`.
    fn le(a: Self::F, b: Self::F) -> Self::M;
    /// Whether `a == b`.
    fn eq(a: Self::F, b: Self::F) -> Self::M;
    /// `a` where true, `b` elsewhere.
    fn select(mask: Self::M, a: Self::F, b: Self::F) -> Self::F;
    /// `a` where true, `b` elsewhere.
    fn select_i(mask: Self::M, a: Self::I, b: Self::I) -> Self::I;
    /// Whether any lane is true.
    fn any(mask: Self::M) -> bool;
    /// One bit per lane, the first lowest.
    fn mask_bits(mask: Self::M) -> u32;
    /// The inverse of [`Self::mask_bits`]; upper bits are not looked at.
    fn from_mask_bits(bits: u32) -> Self::M;
    /// The bits of numbers.
    fn bits(x: Self::F) -> Self::I;
    /// The numbers of bits.
    fn from_bits(x: Self::I) -> Self::F;
    /// The nearest f32 of whole numbers.
    fn to_f(x: Self::I) -> Self::F;
    /// Cuts towards zero; what does not fit, or is no number, becomes `i32::MIN`.
    fn truncate(x: Self::F) -> Self::I;
    /// The lesser.
    fn min_i(a: Self::I, b: Self::I) -> Self::I;
    /// The greater.
    fn max_i(a: Self::I, b: Self::I) -> Self::I;
    /// Whether `a == b`.
    fn eq_i(a: Self::I, b: Self::I) -> Self::M;
    /// Whether `a > b`.
    fn gt_i(a: Self::I, b: Self::I) -> Self::M;
    /// Moves bits up.
    fn shl<const BITS: u32>(x: Self::I) -> Self::I;
    /// Moves bits down; zeros come in.
    fn shr<const BITS: u32>(x: Self::I) -> Self::I;
    /// Moves bits down, in each lane by its own number under 32; zeros come in.
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

    /// [`crate::rounding::truncate`] of every lane rounded, halves away from zero; for magnitudes under 2^22, and what is no
    /// number becomes `i32::MIN`.
    #[inline(always)]
    fn round_away(x: Self::F) -> Self::I {
        // The number below one half: with one half itself the sum may be rounded up to the next whole number.
        let half = Self::bits(Self::splat(0.5_f32.next_down()));
        let sign = Self::bits(x) & Self::splat_i(i32::MIN);
        Self::truncate(x + Self::from_bits(half | sign))
    }

    /// Numbers between `low` and `high`; `low` is not above `high`.
    #[inline(always)]
    fn clamp_i(x: Self::I, low: i32, high: i32) -> Self::I {
        Self::min_i(Self::max_i(x, Self::splat_i(low)), Self::splat_i(high))
    }
}

/// What is compiled for every width.
pub(crate) trait Kernel {
    /// Does the work; implementations are `#[inline(always)]`, and so is all that they call.
    fn run<S: Simd>(self);
}
