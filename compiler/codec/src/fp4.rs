//! What MXFP4 and NVFP4 share: 4-bit floats (E2M1) under a scale.
//!
//! A code is a sign (upper bit) and one of eight magnitudes. The table holds twice the float a code stands for, which
//! makes whole numbers of them; scales are halved for it.

/// Twice the float of each code. Minus zero counts as zero.
const DOUBLED: [f32; 16] =
    [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 0.0, -1.0, -2.0, -3.0, -4.0, -6.0, -8.0, -12.0];

/// Encodes `2 N` weights in `N` bytes: byte `i` holds codes `i` (lower half) and `i + N`.
///
/// * `half_scale`: half of what a code's float is multiplied with
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

/// The inverse of [`encode`].
pub(crate) fn decode<const N: usize>(bytes: &[u8; N], half_scale: f32, out: &mut [f32]) {
    for (i, byte) in bytes.iter().enumerate() {
        out[i] = DOUBLED[usize::from(byte & 15)] * half_scale;
        out[i + N] = DOUBLED[usize::from(byte >> 4)] * half_scale;
    }
}
