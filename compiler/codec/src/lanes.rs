//! Numbers side by side: what vector paths of the codecs are written with.
//!
//! A kernel is generic over [`Simd`] and is compiled once per [`Width`]. Each lane does the operations of the scalar code
//! in their order, so every path gives the same bytes; `tests/paths.rs` compares them. Mostly a lane is a sub-block
//! rather than a place within one, because sums within a sub-block have an order.
//!
//! [`portable::Portable`] is the safe twin of the paths with intrinsics.

#[cfg(target_arch = "x86_64")]
pub mod avx2;
#[cfg(target_arch = "x86_64")]
pub mod avx512;
pub mod blocks;
#[cfg(target_arch = "x86_64")]
mod intrinsics;
pub mod portable;
#[cfg(target_arch = "x86_64")]
mod transpose;

use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Not, Sub};

use mc_tensor::cpu_path::{CpuPath, Width};

/// The most lanes of any path.
pub(crate) const MAX_LANES: usize = 16;

/// A vector instruction set: `N` lanes of f32, of i32, and of truth values.
///
/// Only code inside [`Kernel::run`] may use one, and all of it is `#[inline(always)]`: only inlined code gets the
/// instructions that [`run`] found the CPU to have.
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

/// Runs a kernel compiled for the path; `false` if the path has no vectors.
#[cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "calling code compiled for more than the baseline needs a detected CPU")
)]
pub(crate) fn run<K: Kernel>(path: CpuPath, kernel: K) -> bool {
    match path.width() {
        Width::Baseline => return false,
        Width::Portable => kernel.run::<portable::Portable<4>>(),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: only a CPU that has AVX2, F16C and POPCNT has a path of this width.
        Width::Avx2 => unsafe { run_avx2(kernel) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: only a CPU that has these parts of AVX-512 has a path of this width.
        Width::Avx512 => unsafe { run_avx512(kernel) },
    }
    true
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,f16c,popcnt")]
fn run_avx2<K: Kernel>(kernel: K) {
    kernel.run::<avx2::Avx2>();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,f16c,popcnt,avx512f,avx512bw,avx512dq,avx512vl")]
fn run_avx512<K: Kernel>(kernel: K) {
    kernel.run::<avx512::Avx512>();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What moves numbers between lanes, against what it should do.
    struct Moves;

    impl Kernel for Moves {
        #[inline(always)]
        fn run<S: Simd>(self) {
            let numbers: [f32; 1024] = std::array::from_fn(|i| ((i * 37) % 1024) as f32 - 500.0);
            let words = numbers.map(|number| number as i32);
            let index: [i32; MAX_LANES] = std::array::from_fn(|i| (i * 29) as i32 - 77);
            let starts: [usize; MAX_LANES] = std::array::from_fn(|i| (i * 53) % 960);
            let modulo = |i: i32, len: usize| i as usize % len;

            let columns = S::columns::<48>(&numbers, &starts);
            let mut rows = [[0.0; 48]; MAX_LANES];
            S::store_rows::<48>(&columns, &mut rows);
            for lane in 0..S::N {
                assert_eq!(rows[lane], numbers[starts[lane]..][..48]);
            }
            let indices = S::load_i(&index);
            same::<S>(lookup_of::<S, 8>(&numbers, indices), |lane| numbers[modulo(index[lane], 8)]);
            same::<S>(lookup_of::<S, 16>(&numbers, indices), |lane| numbers[modulo(index[lane], 16)]);
            same::<S>(lookup_of::<S, 32>(&numbers, indices), |lane| numbers[modulo(index[lane], 32)]);
            same::<S>(lookup_of::<S, 64>(&numbers, indices), |lane| numbers[modulo(index[lane], 64)]);
            let table = words.first_chunk::<32>().expect("as many numbers");
            let found = S::to_f(S::lookup_i::<32>(table, indices));
            same::<S>(found, |lane| numbers[modulo(index[lane], 32)]);
            let found = S::permute(S::load(&numbers), indices);
            same::<S>(found, |lane| numbers[modulo(index[lane], S::N)]);
            let least = numbers[..S::N].iter().copied().fold(f32::INFINITY, f32::min);
            same::<S>(S::least(S::load(&numbers)), |_| least);

            let x = S::load_i(&words);
            for bits in 0..1_u32 << S::N.min(12) {
                let flags: [i32; MAX_LANES] = std::array::from_fn(|lane| (bits >> lane & 1) as i32);
                let mask = S::eq_i(S::load_i(&flags), S::splat_i(1));
                let mut out = [0; MAX_LANES];
                let n = S::compress(x, mask, &mut out);
                let expected: Vec<i32> =
                    (0..S::N).filter(|lane| flags[*lane] == 1).map(|lane| words[lane]).collect();
                assert_eq!(out[..n], expected);
            }
        }
    }

    #[inline(always)]
    fn lookup_of<S: Simd, const LEN: usize>(numbers: &[f32; 1024], index: S::I) -> S::F {
        S::lookup::<LEN>(numbers.first_chunk().expect("as many numbers"), index)
    }

    #[inline(always)]
    fn same<S: Simd>(x: S::F, expected: impl Fn(usize) -> f32) {
        let mut found = [0.0; MAX_LANES];
        S::store(x, &mut found);
        for (lane, found) in found[..S::N].iter().enumerate() {
            assert_eq!(*found, expected(lane), "lane {lane}");
        }
    }

    #[test]
    fn numbers_move_between_lanes_alike_on_every_path() {
        for path in CpuPath::available() {
            assert_eq!(run(path, Moves), path != CpuPath::BASELINE);
        }
    }
}
