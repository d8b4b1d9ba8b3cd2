//! Transposes squares of lanes: row `r` of lane `l` becomes row `l` of lane `r`.
//!
//! Used by [`crate::lanes::Simd::columns`]: a load per row and shuffles cost a fraction of gathers. The safe
//! counterpart is `columns` of [`crate::lanes::portable`].
#![expect(unsafe_code, reason = "vector intrinsics are much faster, as the benchmark shows")]

use std::arch::x86_64::*;

/// Transposes a square of eight.
///
/// # Safety
/// The CPU must have AVX2.
#[inline(always)]
pub(super) unsafe fn square_8(r: [__m256; 8]) -> [__m256; 8] {
    // SAFETY: as the caller promises.
    unsafe {
        let (mut pairs, mut quads) = (r, r);
        for i in 0..4 {
            pairs[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
            pairs[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
        }
        for i in 0..2 {
            for half in 0..2 {
                let (a, b) = (pairs[4 * i + half], pairs[4 * i + half + 2]);
                quads[4 * i + 2 * half] = _mm256_shuffle_ps::<0b01_00_01_00>(a, b);
                quads[4 * i + 2 * half + 1] = _mm256_shuffle_ps::<0b11_10_11_10>(a, b);
            }
        }
        let mut turned = r;
        for i in 0..4 {
            turned[i] = _mm256_permute2f128_ps::<0x20>(quads[i], quads[i + 4]);
            turned[i + 4] = _mm256_permute2f128_ps::<0x31>(quads[i], quads[i + 4]);
        }
        turned
    }
}

/// Transposes a square of sixteen.
///
/// # Safety
/// The CPU must have AVX-512F.
#[inline(always)]
pub(super) unsafe fn square_16(r: [__m512; 16]) -> [__m512; 16] {
    // SAFETY: as the caller promises.
    unsafe {
        let (mut pairs, mut quads) = (r, r);
        for i in 0..8 {
            pairs[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
            pairs[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
        }
        for i in 0..4 {
            for half in 0..2 {
                let (a, b) = (pairs[4 * i + half], pairs[4 * i + half + 2]);
                quads[4 * i + 2 * half] = _mm512_shuffle_ps::<0b01_00_01_00>(a, b);
                quads[4 * i + 2 * half + 1] = _mm512_shuffle_ps::<0b11_10_11_10>(a, b);
            }
        }
        // Register `4 i + c` now holds column `c + 4 q` of rows `4 i..4 i + 4` in its quarter `q`.
        let mut turned = r;
        for c in 0..4 {
            let (a, b) = (quads[c], quads[c + 4]);
            let (d, e) = (quads[c + 8], quads[c + 12]);
            let even_ab = _mm512_shuffle_f32x4::<0b10_00_10_00>(a, b);
            let odd_ab = _mm512_shuffle_f32x4::<0b11_01_11_01>(a, b);
            let even_de = _mm512_shuffle_f32x4::<0b10_00_10_00>(d, e);
            let odd_de = _mm512_shuffle_f32x4::<0b11_01_11_01>(d, e);
            turned[c] = _mm512_shuffle_f32x4::<0b10_00_10_00>(even_ab, even_de);
            turned[c + 8] = _mm512_shuffle_f32x4::<0b11_01_11_01>(even_ab, even_de);
            turned[c + 4] = _mm512_shuffle_f32x4::<0b10_00_10_00>(odd_ab, odd_de);
            turned[c + 12] = _mm512_shuffle_f32x4::<0b11_01_11_01>(odd_ab, odd_de);
        }
        turned
    }
}
