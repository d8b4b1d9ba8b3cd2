//! Rounding as in the reference on x86-64, on every machine.

use mc_tensor::convert::f32_to_f16;

/// The nearest integer, ties to even; for magnitudes under 2^22.
#[inline(always)]
pub(crate) fn nearest_int(value: f32) -> i32 {
    let bits = (value + 12_582_912.0).to_bits();
    (bits & 0x007f_ffff) as i32 - 0x0040_0000
}

/// Truncates towards zero as x86-64 does: NaN and values out of range become `i32::MIN`, whose lower byte is 0.
///
/// Scales of subnormal weights have an infinite inverse, and the reference's bytes for them result from this.
#[inline(always)]
pub(crate) fn truncate(value: f32) -> i32 {
    if value > -2_147_483_904.0 && value < 2_147_483_648.0 { value as i32 } else { i32::MIN }
}

/// The bits of the nearest f16; NaN gives the bits of x86-64 on every machine.
pub(crate) fn f16_bits(value: f32) -> u16 {
    if value.is_nan() { 0xfe00 } else { f32_to_f16(value) }
}
