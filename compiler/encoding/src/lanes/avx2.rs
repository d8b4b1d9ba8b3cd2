//! Lanes of AVX2: eight at a time.
//!
//! Every `unsafe` here is one intrinsic (or one load, store or gather whose bounds were checked). They are sound
//! because kernels run only if `lanes::dispatch::run` detected the instructions on the CPU; the safe
//! counterpart is [`crate::lanes::portable`], and the tests of [`crate::lanes`] compare the two.
#![expect(unsafe_code, reason = "vector intrinsics are much faster, as the benchmark shows")]

use std::arch::x86_64::*;
use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Not, Sub};

use crate::lanes::intrinsics::{intrinsics, operator};
use crate::lanes::transpose::square_8;
use crate::lanes::{MAX_LANES, Simd};

/// The instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Avx2;

/// Lanes of f32.
#[derive(Clone, Copy)]
pub(crate) struct Floats(__m256);

/// Lanes of i32.
#[derive(Clone, Copy)]
pub(crate) struct Ints(__m256i);

/// Lanes of Booleans: all bits set or none.
#[derive(Clone, Copy)]
pub(crate) struct Mask(__m256i);

operator!(Floats, Add, add, _mm256_add_ps);
operator!(Floats, Sub, sub, _mm256_sub_ps);
operator!(Floats, Mul, mul, _mm256_mul_ps);
operator!(Floats, Div, div, _mm256_div_ps);
operator!(Ints, Add, add, _mm256_add_epi32);
operator!(Ints, Sub, sub, _mm256_sub_epi32);
operator!(Ints, BitAnd, bitand, _mm256_and_si256);
operator!(Ints, BitOr, bitor, _mm256_or_si256);
operator!(Ints, BitXor, bitxor, _mm256_xor_si256);
operator!(Mask, BitAnd, bitand, _mm256_and_si256);
operator!(Mask, BitOr, bitor, _mm256_or_si256);

impl Not for Mask {
    type Output = Self;

    #[inline(always)]
    fn not(self) -> Self {
        // SAFETY: the CPU has the instructions (see the module).
        Self(unsafe { _mm256_xor_si256(self.0, _mm256_set1_epi32(-1)) })
    }
}

/// For each bit mask, the indices of the true lanes, in order.
static COMPRESSED: [[u8; 8]; 256] = {
    let mut compressed = [[0; 8]; 256];
    let mut bits = 0;
    while bits < 256 {
        let (mut n, mut lane) = (0, 0);
        while lane < 8 {
            if bits >> lane & 1 == 1 {
                compressed[bits][n] = lane as u8;
                n += 1;
            }
            lane += 1;
        }
        bits += 1;
    }
    compressed
};

/// The lower halves of lanes below 2^16.
///
/// # Safety
/// The CPU must have AVX2.
#[inline(always)]
unsafe fn narrow(x: __m256i) -> __m128i {
    // SAFETY: as the caller promises.
    unsafe { _mm_packus_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256::<1>(x)) }
}

impl Simd for Avx2 {
    const N: usize = 8;
    type F = Floats;
    type I = Ints;
    type M = Mask;

    intrinsics! {
        fn splat(x: f32) -> Floats { Floats(_mm256_set1_ps(x)) }
        fn splat_i(x: i32) -> Ints { Ints(_mm256_set1_epi32(x)) }
        fn min(a: Floats, b: Floats) -> Floats { Floats(_mm256_min_ps(a.0, b.0)) }
        fn max(a: Floats, b: Floats) -> Floats { Floats(_mm256_max_ps(a.0, b.0)) }
        fn permute(x: Floats, index: Ints) -> Floats { Floats(_mm256_permutevar8x32_ps(x.0, index.0)) }
        fn least(x: Floats) -> Floats {{
            let x = _mm256_min_ps(x.0, _mm256_permute2f128_ps::<1>(x.0, x.0));
            let x = _mm256_min_ps(x, _mm256_permute_ps::<0b0100_1110>(x));
            Floats(_mm256_min_ps(x, _mm256_permute_ps::<0b1011_0001>(x)))
        }}
        fn sqrt(x: Floats) -> Floats { Floats(_mm256_sqrt_ps(x.0)) }
        fn bits(x: Floats) -> Ints { Ints(_mm256_castps_si256(x.0)) }
        fn from_bits(x: Ints) -> Floats { Floats(_mm256_castsi256_ps(x.0)) }
        fn to_f(x: Ints) -> Floats { Floats(_mm256_cvtepi32_ps(x.0)) }
        fn truncate(x: Floats) -> Ints { Ints(_mm256_cvttps_epi32(x.0)) }
        fn min_i(a: Ints, b: Ints) -> Ints { Ints(_mm256_min_epi32(a.0, b.0)) }
        fn max_i(a: Ints, b: Ints) -> Ints { Ints(_mm256_max_epi32(a.0, b.0)) }
        fn lt(a: Floats, b: Floats) -> Mask { Mask(_mm256_castps_si256(_mm256_cmp_ps::<_CMP_LT_OQ>(a.0, b.0))) }
        fn le(a: Floats, b: Floats) -> Mask { Mask(_mm256_castps_si256(_mm256_cmp_ps::<_CMP_LE_OQ>(a.0, b.0))) }
        fn eq(a: Floats, b: Floats) -> Mask { Mask(_mm256_castps_si256(_mm256_cmp_ps::<_CMP_EQ_OQ>(a.0, b.0))) }
        fn select(mask: Mask, a: Floats, b: Floats) -> Floats { Floats(_mm256_blendv_ps(b.0, a.0, _mm256_castsi256_ps(mask.0))) }
        fn select_i(mask: Mask, a: Ints, b: Ints) -> Ints { Ints(_mm256_blendv_epi8(b.0, a.0, mask.0)) }
        fn any(mask: Mask) -> bool { _mm256_movemask_ps(_mm256_castsi256_ps(mask.0)) != 0 }
        fn mask_bits(mask: Mask) -> u32 { _mm256_movemask_ps(_mm256_castsi256_ps(mask.0)).cast_unsigned() }
        fn eq_i(a: Ints, b: Ints) -> Mask { Mask(_mm256_cmpeq_epi32(a.0, b.0)) }
        fn gt_i(a: Ints, b: Ints) -> Mask { Mask(_mm256_cmpgt_epi32(a.0, b.0)) }
        fn shl<const BITS: u32>(x: Ints) -> Ints { Ints(_mm256_sllv_epi32(x.0, _mm256_set1_epi32(BITS as i32))) }
        fn shr<const BITS: u32>(x: Ints) -> Ints { Ints(_mm256_srlv_epi32(x.0, _mm256_set1_epi32(BITS as i32))) }
        fn shr_each(x: Ints, n_bits: Ints) -> Ints { Ints(_mm256_srlv_epi32(x.0, n_bits.0)) }
        fn from_f16(x: Ints) -> Floats { Floats(_mm256_cvtph_ps(narrow(x.0))) }
        fn to_f16(x: Floats) -> Ints { Ints(_mm256_cvtepu16_epi32(_mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x.0))) }
    }

    #[inline(always)]
    fn pick_of_two(table: [Floats; 2], index: Ints) -> Floats {
        // The bit above the index bits within one register is moved to the sign, which the blend reads.
        let second = Self::from_bits(Self::shl::<28>(index));
        let (low, high) = (Self::permute(table[0], index), Self::permute(table[1], index));
        // SAFETY: the CPU has the instruction.
        Floats(unsafe { _mm256_blendv_ps(low.0, high.0, second.0) })
    }

    #[inline(always)]
    fn load(x: &[f32]) -> Floats {
        let x = &x[..Self::N];
        // SAFETY: the slice has as many numbers; the CPU has the instruction.
        Floats(unsafe { _mm256_loadu_ps(x.as_ptr()) })
    }

    #[inline(always)]
    fn store(x: Floats, out: &mut [f32]) {
        let out = &mut out[..Self::N];
        // SAFETY: the slice has room for as many numbers; the CPU has the instruction.
        unsafe { _mm256_storeu_ps(out.as_mut_ptr(), x.0) }
    }

    #[inline(always)]
    fn load_i(x: &[i32]) -> Ints {
        let x = &x[..Self::N];
        // SAFETY: the slice has as many numbers; the CPU has the instruction.
        Ints(unsafe { _mm256_loadu_si256(x.as_ptr().cast()) })
    }

    #[inline(always)]
    fn store_i(x: Ints, out: &mut [i32]) {
        let out = &mut out[..Self::N];
        // SAFETY: the slice has room for as many numbers; the CPU has the instruction.
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), x.0) }
    }

    #[inline(always)]
    fn load_bytes(x: &[u8]) -> Ints {
        let x = &x[..Self::N];
        // SAFETY: the slice has as many bytes; the CPU has the instructions.
        Ints(unsafe { _mm256_cvtepu8_epi32(_mm_loadl_epi64(x.as_ptr().cast())) })
    }

    #[inline(always)]
    fn store_bytes(x: Ints, out: &mut [u8]) {
        let out = &mut out[..Self::N];
        // SAFETY: the slice has room for as many bytes; the CPU has the instructions.
        unsafe {
            let words = narrow((x & Self::splat_i(255)).0);
            _mm_storel_epi64(out.as_mut_ptr().cast(), _mm_packus_epi16(words, words));
        }
    }

    #[inline(always)]
    fn load_halves(x: &[u8]) -> Ints {
        let x = &x[..2 * Self::N];
        // SAFETY: the slice has as many bytes; the CPU has the instructions.
        Ints(unsafe { _mm256_cvtepu16_epi32(_mm_loadu_si128(x.as_ptr().cast())) })
    }

    #[inline(always)]
    fn store_halves(x: Ints, out: &mut [u8]) {
        let out = &mut out[..2 * Self::N];
        // SAFETY: the slice has room for as many bytes; the CPU has the instructions.
        unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), narrow((x & Self::splat_i(0xffff)).0)) }
    }

    #[inline(always)]
    fn from_mask_bits(bits: u32) -> Mask {
        let of_lanes = Self::load_i(&[1, 2, 4, 8, 16, 32, 64, 128]);
        Self::eq_i(Self::splat_i(bits.cast_signed()) & of_lanes, of_lanes)
    }

    #[inline(always)]
    fn reduce_max(x: Floats) -> f32 {
        // SAFETY: the CPU has the instructions (see the module).
        unsafe {
            let four = _mm_max_ps(_mm256_castps256_ps128(x.0), _mm256_extractf128_ps::<1>(x.0));
            let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }

    #[inline(always)]
    fn compress(x: Ints, mask: Mask, out: &mut [i32]) -> usize {
        let bits = Self::mask_bits(mask);
        let order = Self::load_bytes(&COMPRESSED[(bits & 255) as usize]);
        // SAFETY: the CPU has the instruction.
        Self::store_i(Ints(unsafe { _mm256_permutevar8x32_epi32(x.0, order.0) }), out);
        bits.count_ones() as usize
    }

    #[inline(always)]
    fn groups<const K: usize>(x: &[f32]) -> [Floats; K] {
        const { assert!(K.is_multiple_of(8), "whole squares") };
        let x = &x[..K * Self::N];
        let mut columns = [Self::splat(0.0); K];
        for first in (0..K).step_by(Self::N) {
            let mut square = [Self::splat(0.0).0; Self::N];
            for (lane, row) in square.iter_mut().enumerate() {
                // SAFETY: this many numbers from there are within the slice; the CPU has the instruction.
                *row = unsafe { _mm256_loadu_ps(x.as_ptr().add(K * lane + first)) };
            }
            // SAFETY: the CPU has the instructions.
            let square = unsafe { square_8(square) };
            for i in 0..Self::N {
                columns[first + i] = Floats(square[i]);
            }
        }
        columns
    }

    #[inline(always)]
    fn columns<const K: usize>(x: &[f32], starts: &[usize; MAX_LANES]) -> [Floats; K] {
        const { assert!(K.is_multiple_of(8), "whole squares") };
        for start in &starts[..Self::N] {
            assert!(start + K <= x.len(), "columns within the numbers");
        }
        let mut columns = [Self::splat(0.0); K];
        for first in (0..K).step_by(Self::N) {
            let mut square = [Self::splat(0.0).0; Self::N];
            for (row, start) in square.iter_mut().zip(starts) {
                // SAFETY: this many numbers from there are within the slice, as asserted; the CPU has the instruction.
                *row = unsafe { _mm256_loadu_ps(x.as_ptr().add(start + first)) };
            }
            // SAFETY: the CPU has the instructions.
            let square = unsafe { square_8(square) };
            for (column, turned) in columns[first..].iter_mut().zip(square) {
                *column = Floats(turned);
            }
        }
        columns
    }

    #[inline(always)]
    fn store_rows<const K: usize>(x: &[Floats; K], rows: &mut [[f32; K]; MAX_LANES]) {
        const { assert!(K.is_multiple_of(8), "whole registers") };
        for (part, columns) in x.as_chunks::<8>().0.iter().enumerate() {
            // SAFETY: the CPU has the instructions.
            let turned = unsafe { square_8(columns.map(|column| column.0)) };
            for (row, x) in rows.iter_mut().zip(turned) {
                Self::store(Floats(x), &mut row[8 * part..]);
            }
        }
    }

    #[inline(always)]
    fn lookup<const LEN: usize>(table: &[f32; LEN], index: Ints) -> Floats {
        const { assert!(LEN.is_power_of_two(), "an index counts modulo the length") };
        if LEN <= 32 && LEN >= 8 {
            let mut found = [Self::splat(0.0); 4];
            for (found, table) in found.iter_mut().zip(table.chunks_exact(8)) {
                // SAFETY: the CPU has the instruction, which takes the index modulo 8.
                *found = Floats(unsafe { _mm256_permutevar8x32_ps(Self::load(table).0, index.0) });
            }
            // The blends read their masks from the sign bits.
            let (bit_3, bit_4) = (Self::shl::<28>(index), Self::shl::<27>(index));
            if LEN == 32 {
                found[2] = Self::select(Mask(bit_3.0), found[3], found[2]);
            }
            if LEN >= 16 {
                found[0] = Self::select(Mask(bit_3.0), found[1], found[0]);
            }
            return if LEN == 32 { Self::select(Mask(bit_4.0), found[2], found[0]) } else { found[0] };
        }
        let index = index & Self::splat_i((LEN - 1) as i32);
        // SAFETY: every index is less than the length; the CPU has the instruction.
        Floats(unsafe { _mm256_i32gather_ps::<4>(table.as_ptr(), index.0) })
    }

    #[inline(always)]
    fn lookup_i<const LEN: usize>(table: &[i32; LEN], index: Ints) -> Ints {
        const { assert!(LEN.is_power_of_two(), "an index counts modulo the length") };
        if LEN <= 32 && LEN >= 8 {
            // The same bits as floats.
            let mut numbers = [0.0; LEN];
            for (number, entry) in numbers.iter_mut().zip(table) {
                *number = f32::from_bits(entry.cast_unsigned());
            }
            return Self::bits(Self::lookup::<LEN>(&numbers, index));
        }
        let index = index & Self::splat_i((LEN - 1) as i32);
        // SAFETY: every index is less than the length; the CPU has the instruction.
        Ints(unsafe { _mm256_i32gather_epi32::<4>(table.as_ptr(), index.0) })
    }
}
