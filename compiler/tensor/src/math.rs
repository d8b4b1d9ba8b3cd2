//! Elementary functions in plain arithmetic, so that they give the same bits on every platform.
//!
//! A platform's own `exp` or `sin` may differ in the last bit, and all results here end up in a digest. Only `+ - * /`,
//! comparisons and bit patterns are used, never fused.

use std::f64::consts::{LN_2, PI, SQRT_2};

// ln 2 in two parts: the first has 21 zero bits at its end, so that k * LN_2_HIGH is exact for |k| < 2^20.
const LN_2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
// pi / 2 in two parts, the first with 33 significant bits.
const HALF_PI_HIGH: f64 = 1.570_796_326_734_125_6;
const HALF_PI_LOW: f64 = 6.077_100_506_506_192e-11;

/// `e^x`.
///
/// Reduces to `2^k * e^r` with `|r| <= ln 2 / 2`, and sums the series of `e^r` to `r^13`: an error under one unit of
/// the last place.
pub fn exp(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x > 709.782_712_893_384 {
        return f64::INFINITY;
    }
    if x < -745.2 {
        return 0.0;
    }
    let k = (x / LN_2).round();
    let r = (x - k * LN_2_HIGH) - k * LN_2_LOW;
    let mut sum = 1.0;
    for n in (1..=13).rev() {
        sum = 1.0 + sum * r / f64::from(n);
    }
    let k = k as i32;
    // Two factors, because 2^k alone may leave the range where the product does not.
    sum * power_of_two(k / 2) * power_of_two(k - k / 2)
}

/// `e^x` for f32, in f32: an error under two units of the last place. Below -87.3 it is 0, above 88.7 infinite.
///
/// Has no branches or table lookups, so that a loop over a slice is vectorized. Coefficients: Cephes `expf`.
#[inline]
pub fn exp_f32(x: f32) -> f32 {
    // Adding and subtracting 1.5 * 2^23 rounds to the nearest whole number.
    const ROUND: f32 = 12_582_912.0;
    let clamped = x.clamp(-87.3, 88.7);
    let k = (clamped * std::f32::consts::LOG2_E + ROUND) - ROUND;
    let r = (clamped - k * 0.693_359_4) - k * -2.121_944_4e-4;
    let mut sum = 1.987_569_1e-4;
    for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        sum = sum * r + coefficient;
    }
    let sum = sum * r * r + r + 1.0;
    let scale = f32::from_bits(((k as i32 + 127) << 23) as u32);
    let result = sum * scale;
    let result = if x < -87.3 { 0.0 } else { result };
    let result = if x > 88.7 { f32::INFINITY } else { result };
    if x.is_nan() { x } else { result }
}

/// The hyperbolic tangent for f32, in f32: an absolute error under 2e-7. Has no branches, like [`exp_f32`].
#[inline]
pub fn tanh_f32(x: f32) -> f32 {
    let small = exp_f32(-2.0 * x.abs());
    ((1.0 - small) / (1.0 + small)).copysign(x)
}

fn power_of_two(k: i32) -> f64 {
    f64::from_bits(((k + 1023) as u64) << 52)
}

/// The natural logarithm; NaN below zero, minus infinity at zero.
///
/// Splits off the exponent so that the rest is within `1/sqrt(2)..sqrt(2)`, and sums the series of
/// `2 atanh((m - 1) / (m + 1))`.
pub fn ln(x: f64) -> f64 {
    if x.is_nan() || x < 0.0 {
        return f64::NAN;
    }
    if x == 0.0 {
        return f64::NEG_INFINITY;
    }
    if x == f64::INFINITY {
        return x;
    }
    // Subnormals are scaled up to a normal exponent.
    let (x, shift) = if x < f64::MIN_POSITIVE { (x * power_of_two(54), 54) } else { (x, 0) };
    let bits = x.to_bits();
    let mut exponent = ((bits >> 52) & 0x7ff) as i32 - 1023 - shift;
    let mut mantissa = f64::from_bits(bits & 0x000f_ffff_ffff_ffff | 0x3ff0_0000_0000_0000);
    if mantissa > SQRT_2 {
        mantissa *= 0.5;
        exponent += 1;
    }
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let square = s * s;
    let mut sum = 0.0;
    for n in (0..12).rev() {
        sum = 1.0 / f64::from(2 * n + 1) + square * sum;
    }
    let exponent = f64::from(exponent);
    exponent * LN_2_HIGH + (2.0 * s * sum + exponent * LN_2_LOW)
}

/// `base^exponent` for a positive base.
pub fn pow(base: f64, exponent: f64) -> f64 {
    exp(exponent * ln(base))
}

/// Sine and cosine of an angle in radians, for angles up to some millions.
pub fn sin_cos(x: f64) -> (f64, f64) {
    if !x.is_finite() {
        return (f64::NAN, f64::NAN);
    }
    let k = (x / (PI / 2.0)).round();
    let r = (x - k * HALF_PI_HIGH) - k * HALF_PI_LOW;
    let square = r * r;
    let (mut sin, mut cos) = (1.0, 1.0);
    for n in (1..=9).rev() {
        let n = f64::from(n);
        sin = 1.0 - sin * square / ((2.0 * n) * (2.0 * n + 1.0));
        cos = 1.0 - cos * square / ((2.0 * n - 1.0) * (2.0 * n));
    }
    let (sin, cos) = (r * sin, cos);
    match (k as i64).rem_euclid(4) {
        0 => (sin, cos),
        1 => (cos, -sin),
        2 => (-sin, -cos),
        _ => (-cos, sin),
    }
}

/// The angle in radians, `0..=pi`, whose cosine is `x`; NaN outside `-1..=1`.
///
/// Computed as `acos x = 2 atan(sqrt(1 - x) / sqrt(1 + x))`; an error of a few units of the last place.
pub fn acos(x: f64) -> f64 {
    if x.is_nan() || x.abs() > 1.0 {
        return f64::NAN;
    }
    let (opposite, adjacent) = ((1.0 - x).sqrt(), (1.0 + x).sqrt());
    if opposite <= adjacent { 2.0 * atan(opposite / adjacent) } else { PI - 2.0 * atan(adjacent / opposite) }
}

/// The angle whose tangent is `x`, for `x` within `0..=1`.
///
/// Halves the angle twice with `tan(a / 2) = x / (1 + sqrt(1 + x^2))`, then sums the series of the remainder, which is
/// below 0.2.
fn atan(x: f64) -> f64 {
    let half = |x: f64| x / (1.0 + (1.0 + x * x).sqrt());
    let x = half(half(x));
    let square = x * x;
    let mut sum = 0.0;
    for n in (0..12).rev() {
        sum = 1.0 / f64::from(2 * n + 1) - square * sum;
    }
    4.0 * x * sum
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the platform's functions are the expected values")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(got: f64, expected: f64, tolerance: f64) -> bool {
        got == expected || (got - expected).abs() <= tolerance * expected.abs().max(1e-300)
    }

    #[test]
    fn tanh_is_close_everywhere_and_odd() {
        for step in -2000..=2000_i16 {
            let x = f32::from(step) / 200.0;
            assert!((tanh_f32(x) - x.tanh()).abs() < 2e-7, "{x}");
            assert_eq!(tanh_f32(-x), -tanh_f32(x));
        }
        assert_eq!((tanh_f32(f32::INFINITY), tanh_f32(f32::NEG_INFINITY)), (1.0, -1.0));
        assert!(tanh_f32(f32::NAN).is_nan());
    }

    #[test]
    fn edge_cases_follow_the_standard() {
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(f64::INFINITY), f64::INFINITY);
        assert_eq!(exp(f64::NEG_INFINITY), 0.0);
        assert!(exp(f64::NAN).is_nan());
        assert_eq!(ln(1.0), 0.0);
        assert_eq!(ln(0.0), f64::NEG_INFINITY);
        assert!(ln(-1.0).is_nan());
        assert_eq!(sin_cos(0.0), (0.0, 1.0));
        assert!(sin_cos(f64::INFINITY).0.is_nan());
        assert!(close(ln(f64::from_bits(1)), f64::from_bits(1).ln(), 1e-15));
    }

    #[test]
    fn known_values_have_these_bits_everywhere() {
        assert_eq!(exp(1.0).to_bits(), 0x4005_bf0a_8b14_576a);
        assert_eq!(ln(2.0).to_bits(), LN_2.to_bits());
        assert_eq!(exp_f32(-3.5).to_bits(), (-3.5_f32).exp().to_bits());
        assert_eq!([exp_f32(-100.0), exp_f32(0.0), exp_f32(100.0)], [0.0, 1.0, f32::INFINITY]);
        assert!(exp_f32(f32::NAN).is_nan());
    }

    #[test]
    fn the_ends_of_the_arc_are_exact() {
        assert_eq!([acos(1.0), acos(-1.0)], [0.0, PI]);
        assert!(acos(1.000_1).is_nan() && acos(f64::NAN).is_nan());
        assert!((acos(0.0) - PI / 2.0).abs() < 5e-16);
    }

    proptest! {
        #[test]
        fn angles_agree_with_the_platform(x in -1.0_f64..1.0) {
            prop_assert!((acos(x) - x.acos()).abs() <= 1e-15, "{} {}", acos(x), x.acos());
        }

        #[test]
        fn functions_agree_with_the_platform(x in -700.0_f64..700.0, positive in 1e-300_f64..1e300, angle in -1e5_f64..1e5) {
            prop_assert!(close(exp(x), x.exp(), 4e-16));
            prop_assert!((ln(positive) - positive.ln()).abs() <= 4e-16 * positive.ln().abs().max(1.0));
            let (sin, cos) = sin_cos(angle);
            prop_assert!((sin - angle.sin()).abs() < 1e-11 && (cos - angle.cos()).abs() < 1e-11);
        }

        #[test]
        fn f32_exponentials_are_within_two_units(x in -87.0_f32..88.0) {
            let exact = f64::from(x).exp();
            prop_assert!((f64::from(exp_f32(x)) - exact).abs() <= 2.0 * f64::from(f32::EPSILON) * exact);
        }
    }
}
