//! The common part of MXFP4 and NVFP4: 4-bit floats (E2M1) under a scale.
//!
//! A code is a sign (upper bit) and one of eight magnitudes. The table holds twice the float of each code, which makes
//! them integers; scales are halved to compensate.

use crate::lanes::Simd;

/// Twice the float of each code. Minus zero counts as zero.
const DOUBLED: [f32; 16] =
    [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 0.0, -1.0, -2.0, -3.0, -4.0, -6.0, -8.0, -12.0];

/// Encodes `2 N` weights in `N` bytes: byte `i` holds codes `i` (lower half) and `i + N`.
///
/// * `half_scale`: half of the factor of a code's float
pub(crate) fn encode<const N: usize>(x: &[f32], half_scale: f32, bytes: &mut [u8; N]) {
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = nearest(x[i], half_scale) | nearest(x[i + N], half_scale) << 4;
    }
}

/// The code nearest to `x`; the first of equally near ones.
fn nearest(x: f32, half_scale: f32) -> u8 {
    let (mut best, mut best_error) = (0, (DOUBLED[0] * half_scale - x).abs());
    for (code, value) in (1..).zip(&DOUBLED[1..]) {
        let error = (value * half_scale - x).abs();
        if error < best_error {
            best = code;
            best_error = error;
        }
    }
    best
}

/// Returns true if [`codes`] gives the codes of [`encode`], because all operations on the values are exact.
///
/// The scale must be far from subnormal and infinite numbers, and weights must not be so large that rounding makes the
/// differences to all values equal.
#[inline(always)]
pub(crate) fn is_exact(magnitude: f32, half_scale: f32) -> bool {
    magnitude == 0.0 || (1e-30..1e30).contains(&half_scale) && magnitude <= 4096.0 * half_scale
}

/// Codes as in [`encode`], if [`is_exact`].
///
/// Between two adjacent values both differences are exact, so their midpoint decides which one is nearer; at the
/// midpoint the smaller magnitude wins, because its code comes first.
#[inline(always)]
pub(crate) fn codes<S: Simd>(x: &[f32], half_scale: f32) -> S::I {
    const MIDDLES: [f32; 7] = [0.5, 1.5, 2.5, 3.5, 5.0, 7.0, 10.0];
    let x = S::load(x);
    let magnitude = S::abs(x);
    let zero = S::splat_i(0);
    let mut code = zero;
    for (i, middle) in MIDDLES.iter().enumerate() {
        let is_above = S::lt(S::splat(middle * half_scale), magnitude);
        code = S::select_i(is_above, S::splat_i(i as i32 + 1), code);
    }
    let sign = S::shl::<3>(S::shr::<31>(S::bits(x)));
    // Minus zero is never written.
    code | S::select_i(S::eq_i(code, zero), zero, sign)
}

/// The inverse of [`encode`].
pub(crate) fn decode<const N: usize>(bytes: &[u8; N], half_scale: f32, out: &mut [f32]) {
    for (i, byte) in bytes.iter().enumerate() {
        out[i] = DOUBLED[usize::from(byte & 15)] * half_scale;
        out[i + N] = DOUBLED[usize::from(byte >> 4)] * half_scale;
    }
}

/// The numbers for codes of [`encode`]; indices are taken modulo 16.
#[inline(always)]
pub(crate) fn values<S: Simd>(codes: S::I, half_scale: S::F) -> S::F {
    S::lookup(&DOUBLED, codes) * half_scale
}
