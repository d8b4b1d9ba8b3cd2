//! Lanes of AVX-512: sixteen at a time.
//!
//! Every `unsafe` here is one intrinsic (or one load, store or gather whose bounds were checked). They are sound
//! because kernels run only if `lanes::dispatch::run` detected the instructions on the CPU; the safe
//! counterpart is [`crate::lanes::portable`], and the tests of [`crate::lanes`] compare the two.
#![expect(unsafe_code, reason = "vector intrinsics are much faster, as the benchmark shows")]

use std::arch::x86_64::*;
use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Not, Sub};

use crate::lanes::intrinsics::{intrinsics, operator};
use crate::lanes::transpose::square_16;
use crate::lanes::{MAX_LANES, Simd};

/// The instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Avx512;

/// Lanes of f32.
#[derive(Clone, Copy)]
pub(crate) struct Floats(__m512);

/// Lanes of i32.
#[derive(Clone, Copy)]
pub(crate) struct Ints(__m512i);

/// Lanes of Booleans, one bit each.
#[derive(Clone, Copy)]
pub(crate) struct Mask(__mmask16);

operator!(Floats, Add, add, _mm512_add_ps);
operator!(Floats, Sub, sub, _mm512_sub_ps);
operator!(Floats, Mul, mul, _mm512_mul_ps);
operator!(Floats, Div, div, _mm512_div_ps);
operator!(Ints, Add, add, _mm512_add_epi32);
operator!(Ints, Sub, sub, _mm512_sub_epi32);
operator!(Ints, BitAnd, bitand, _mm512_and_si512);
operator!(Ints, BitOr, bitor, _mm512_or_si512);
operator!(Ints, BitXor, bitxor, _mm512_xor_si512);

impl BitAnd for Mask {
    type Output = Self;

    #[inline(always)]
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOr for Mask {
    type Output = Self;

    #[inline(always)]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl Not for Mask {
    type Output = Self;

    #[inline(always)]
    fn not(self) -> Self {
        Self(!self.0)
    }
}

impl Simd for Avx512 {
    const N: usize = 16;
    type F = Floats;
    type I = Ints;
    type M = Mask;

    intrinsics! {
        fn splat(x: f32) -> Floats { Floats(_mm512_set1_ps(x)) }
        fn splat_i(x: i32) -> Ints { Ints(_mm512_set1_epi32(x)) }
        fn min(a: Floats, b: Floats) -> Floats { Floats(_mm512_min_ps(a.0, b.0)) }
        fn max(a: Floats, b: Floats) -> Floats { Floats(_mm512_max_ps(a.0, b.0)) }
        fn permute(x: Floats, index: Ints) -> Floats { Floats(_mm512_permutexvar_ps(index.0, x.0)) }
        fn least(x: Floats) -> Floats {{
            let x = _mm512_min_ps(x.0, _mm512_shuffle_f32x4::<0b0100_1110>(x.0, x.0));
            let x = _mm512_min_ps(x, _mm512_shuffle_f32x4::<0b1011_0001>(x, x));
            let x = _mm512_min_ps(x, _mm512_permute_ps::<0b0100_1110>(x));
            Floats(_mm512_min_ps(x, _mm512_permute_ps::<0b1011_0001>(x)))
        }}
        fn pick_of_two(table: [Floats; 2], index: Ints) -> Floats { Floats(_mm512_permutex2var_ps(table[0].0, index.0, table[1].0)) }
        fn sqrt(x: Floats) -> Floats { Floats(_mm512_sqrt_ps(x.0)) }
        fn bits(x: Floats) -> Ints { Ints(_mm512_castps_si512(x.0)) }
        fn from_bits(x: Ints) -> Floats { Floats(_mm512_castsi512_ps(x.0)) }
        fn to_f(x: Ints) -> Floats { Floats(_mm512_cvtepi32_ps(x.0)) }
        fn truncate(x: Floats) -> Ints { Ints(_mm512_cvttps_epi32(x.0)) }
        fn min_i(a: Ints, b: Ints) -> Ints { Ints(_mm512_min_epi32(a.0, b.0)) }
        fn max_i(a: Ints, b: Ints) -> Ints { Ints(_mm512_max_epi32(a.0, b.0)) }
        fn lt(a: Floats, b: Floats) -> Mask { Mask(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(a.0, b.0)) }
        fn le(a: Floats, b: Floats) -> Mask { Mask(_mm512_cmp_ps_mask::<_CMP_LE_OQ>(a.0, b.0)) }
        fn eq(a: Floats, b: Floats) -> Mask { Mask(_mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a.0, b.0)) }
        fn select(mask: Mask, a: Floats, b: Floats) -> Floats { Floats(_mm512_mask_blend_ps(mask.0, b.0, a.0)) }
        fn select_i(mask: Mask, a: Ints, b: Ints) -> Ints { Ints(_mm512_mask_blend_epi32(mask.0, b.0, a.0)) }
        fn eq_i(a: Ints, b: Ints) -> Mask { Mask(_mm512_cmpeq_epi32_mask(a.0, b.0)) }
        fn gt_i(a: Ints, b: Ints) -> Mask { Mask(_mm512_cmpgt_epi32_mask(a.0, b.0)) }
        fn shl<const BITS: u32>(x: Ints) -> Ints { Ints(_mm512_slli_epi32::<BITS>(x.0)) }
        fn shr<const BITS: u32>(x: Ints) -> Ints { Ints(_mm512_srli_epi32::<BITS>(x.0)) }
        fn shr_each(x: Ints, n_bits: Ints) -> Ints { Ints(_mm512_srlv_epi32(x.0, n_bits.0)) }
        fn reduce_max(x: Floats) -> f32 { _mm512_reduce_max_ps(x.0) }
        fn from_f16(x: Ints) -> Floats { Floats(_mm512_cvtph_ps(_mm512_cvtepi32_epi16(x.0))) }
        fn to_f16(x: Floats) -> Ints { Ints(_mm512_cvtepu16_epi32(_mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x.0))) }
    }

    #[inline(always)]
    fn load(x: &[f32]) -> Floats {
        let x = &x[..Self::N];
        // SAFETY: the slice has as many numbers; the CPU has the instruction.
        Floats(unsafe { _mm512_loadu_ps(x.as_ptr()) })
    }

    #[inline(always)]
    fn store(x: Floats, out: &mut [f32]) {
        let out = &mut out[..Self::N];
        // SAFETY: the slice has room for as many numbers; the CPU has the instruction.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), x.0) }
    }

    #[inline(always)]
    fn load_i(x: &[i32]) -> Ints {
        let x = &x[..Self::N];
        // SAFETY: the slice has as many numbers; the CPU has the instruction.
        Ints(unsafe { _mm512_loadu_si512(x.as_ptr().cast()) })
    }

    #[inline(always)]
    fn store_i(x: Ints, out: &mut [i32]) {
        let out = &mut out[..Self::N];
        // SAFETY: the slice has room for as many numbers; the CPU has the instruction.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), x.0) }
    }

    #[inline(always)]
    fn load_bytes(x: &[u8]) -> Ints {
        let x = &x[..Self::N];
        // SAFETY: the slice has as many bytes; the CPU has the instructions.
        Ints(unsafe { _mm512_cvtepu8_epi32(_mm_loadu_si128(x.as_ptr().cast())) })
    }

    #[inline(always)]
    fn store_bytes(x: Ints, out: &mut [u8]) {
        let out = &mut out[..Self::N];
        // SAFETY: the slice has room for as many bytes; the CPU has the instructions.
        unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(x.0)) }
    }

    #[inline(always)]
    fn compress(x: Ints, mask: Mask, out: &mut [i32]) -> usize {
        // SAFETY: the CPU has the instruction.
        Self::store_i(Ints(unsafe { _mm512_maskz_compress_epi32(mask.0, x.0) }), out);
        mask.0.count_ones() as usize
    }

    #[inline(always)]
    fn any(mask: Mask) -> bool {
        mask.0 != 0
    }

    #[inline(always)]
    fn from_mask_bits(bits: u32) -> Mask {
        Mask(bits as u16)
    }

    #[inline(always)]
    fn mask_bits(mask: Mask) -> u32 {
        u32::from(mask.0)
    }

    #[inline(always)]
    fn load_halves(x: &[u8]) -> Ints {
        let x = &x[..2 * Self::N];
        // SAFETY: the slice has as many bytes; the CPU has the instructions.
        Ints(unsafe { _mm512_cvtepu16_epi32(_mm256_loadu_si256(x.as_ptr().cast())) })
    }

    #[inline(always)]
    fn store_halves(x: Ints, out: &mut [u8]) {
        let out = &mut out[..2 * Self::N];
        // SAFETY: the slice has room for as many bytes; the CPU has the instructions.
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), _mm512_cvtepi32_epi16(x.0)) }
    }

    #[inline(always)]
    fn groups<const K: usize>(x: &[f32]) -> [Floats; K] {
        const { assert!(K.is_multiple_of(16), "whole squares") };
        let x = &x[..K * Self::N];
        let mut columns = [Self::splat(0.0); K];
        for first in (0..K).step_by(Self::N) {
            let mut square = [Self::splat(0.0).0; Self::N];
            for (lane, row) in square.iter_mut().enumerate() {
                // SAFETY: this many numbers from there are within the slice; the CPU has the instruction.
                *row = unsafe { _mm512_loadu_ps(x.as_ptr().add(K * lane + first)) };
            }
            // SAFETY: the CPU has the instructions.
            let square = unsafe { square_16(square) };
            for i in 0..Self::N {
                columns[first + i] = Floats(square[i]);
            }
        }
        columns
    }

    #[inline(always)]
    fn columns<const K: usize>(x: &[f32], starts: &[usize; MAX_LANES]) -> [Floats; K] {
        for start in &starts[..Self::N] {
            assert!(start + K <= x.len() && x.len() <= i32::MAX as usize, "columns within the numbers");
        }
        let mut columns = [Self::splat(0.0); K];
        let n_squared = K / Self::N * Self::N;
        for first in (0..n_squared).step_by(Self::N) {
            let mut square = [Self::splat(0.0).0; Self::N];
            for (row, start) in square.iter_mut().zip(starts) {
                // SAFETY: this many numbers from there are within the slice, as asserted; the CPU has the instruction.
                *row = unsafe { _mm512_loadu_ps(x.as_ptr().add(start + first)) };
            }
            // SAFETY: the CPU has the instructions.
            let square = unsafe { square_16(square) };
            for (column, turned) in columns[first..].iter_mut().zip(square) {
                *column = Floats(turned);
            }
        }
        if n_squared < K {
            let mut offsets = [0_i32; Self::N];
            for (offset, start) in offsets.iter_mut().zip(starts) {
                *offset = *start as i32;
            }
            let offsets = Self::load_i(&offsets);
            for (i, column) in columns.iter_mut().enumerate().skip(n_squared) {
                // SAFETY: every offset plus `i` is within the slice, as asserted; the CPU has the instruction.
                *column = Floats(unsafe { _mm512_i32gather_ps::<4>(offsets.0, x.as_ptr().add(i).cast()) });
            }
        }
        columns
    }

    #[inline(always)]
    fn store_rows<const K: usize>(x: &[Floats; K], rows: &mut [[f32; K]; MAX_LANES]) {
        const { assert!(K.is_multiple_of(16), "whole registers") };
        for (part, columns) in x.as_chunks::<16>().0.iter().enumerate() {
            // SAFETY: the CPU has the instructions.
            let turned = unsafe { square_16(columns.map(|column| column.0)) };
            for (row, x) in rows.iter_mut().zip(turned) {
                Self::store(Floats(x), &mut row[16 * part..]);
            }
        }
    }

    #[inline(always)]
    fn lookup<const LEN: usize>(table: &[f32; LEN], index: Ints) -> Floats {
        const { assert!(LEN.is_power_of_two(), "an index counts modulo the length") };
        if LEN == 16 {
            // SAFETY: the CPU has the instruction, which takes the index modulo 16.
            return Floats(unsafe { _mm512_permutexvar_ps(index.0, Self::load(table).0) });
        }
        if LEN == 32 {
            let (lower, upper) = (Self::load(table), Self::load(&table[16..]));
            // SAFETY: the CPU has the instruction, which takes the index modulo 32.
            return Floats(unsafe { _mm512_permutex2var_ps(lower.0, index.0, upper.0) });
        }
        let index = index & Self::splat_i((LEN - 1) as i32);
        if LEN == Self::N {
            // SAFETY: the CPU has the instruction.
            return Floats(unsafe { _mm512_permutexvar_ps(index.0, Self::load(table).0) });
        }
        // SAFETY: every index is less than the length; the CPU has the instruction.
        Floats(unsafe { _mm512_i32gather_ps::<4>(index.0, table.as_ptr().cast()) })
    }

    #[inline(always)]
    fn lookup_i<const LEN: usize>(table: &[i32; LEN], index: Ints) -> Ints {
        const { assert!(LEN.is_power_of_two(), "an index counts modulo the length") };
        if LEN == 16 {
            // SAFETY: the CPU has the instruction, which takes the index modulo 16.
            return Ints(unsafe { _mm512_permutexvar_epi32(index.0, Self::load_i(table).0) });
        }
        if LEN == 32 {
            let (lower, upper) = (Self::load_i(table), Self::load_i(&table[16..]));
            // SAFETY: the CPU has the instruction, which takes the index modulo 32.
            return Ints(unsafe { _mm512_permutex2var_epi32(lower.0, index.0, upper.0) });
        }
        let index = index & Self::splat_i((LEN - 1) as i32);
        // SAFETY: every index is less than the length; the CPU has the instruction.
        Ints(unsafe { _mm512_i32gather_epi32::<4>(index.0, table.as_ptr().cast()) })
    }
}
