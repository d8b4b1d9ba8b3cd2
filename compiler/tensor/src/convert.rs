//! Conversions between stored elements and f32, in bulk.
//!
//! Narrowing rounds to nearest, ties to even, as in PyTorch and ggml; a NaN stays a NaN.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

use crate::dtype::DType;

/// Widens little-endian elements to f32.
///
/// * `bytes`: `out.len()` elements of `dtype`, a float type
///
/// # Panics
/// If the lengths disagree or `dtype` is not a float type: the caller checks both with [`DType::is_weight`] or
/// [`DType::is_scaled_weight`] during planning.
pub fn to_f32(dtype: DType, bytes: &[u8], out: &mut [f32]) {
    assert_eq!(bytes.len(), out.len() * dtype.n_bytes(), "bytes of the elements");
    match dtype {
        DType::F32 => {
            for (value, word) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
                *value = f32::from_le_bytes(*word);
            }
        }
        DType::BF16 => {
            for (value, word) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
                *value = f32::from_bits(u32::from(u16::from_le_bytes(*word)) << 16);
            }
        }
        DType::F16 => {
            let mut halves = [f16::ZERO; 64];
            for (values, words) in out.chunks_mut(64).zip(bytes.chunks(128)) {
                for (half, word) in halves.iter_mut().zip(words.as_chunks::<2>().0) {
                    *half = f16::from_le_bytes(*word);
                }
                halves[..values.len()].convert_to_f32_slice(values);
            }
        }
        DType::F64 => {
            for (value, word) in out.iter_mut().zip(bytes.as_chunks::<8>().0) {
                *value = f64::from_le_bytes(*word) as f32;
            }
        }
        DType::F8E4M3 => {
            for (value, byte) in out.iter_mut().zip(bytes) {
                *value = f8_e4m3_to_f32(*byte);
            }
        }
        DType::F8E5M2 => {
            for (value, byte) in out.iter_mut().zip(bytes) {
                *value = f16_to_f32(u16::from(*byte) << 8);
            }
        }
        other => panic!("`{other}` is not a weight type"),
    }
}

/// Writes f32 values as little-endian elements of `dtype`, a float type of 16 bits or more.
///
/// # Panics
/// If the lengths disagree or `dtype` is another type.
pub fn from_f32(dtype: DType, values: &[f32], out: &mut [u8]) {
    assert_eq!(out.len(), values.len() * dtype.n_bytes(), "bytes of the elements");
    match dtype {
        DType::F32 => {
            for (word, value) in out.as_chunks_mut::<4>().0.iter_mut().zip(values) {
                *word = value.to_le_bytes();
            }
        }
        DType::BF16 => {
            for (word, value) in out.as_chunks_mut::<2>().0.iter_mut().zip(values) {
                *word = to_bf16_bits(*value).to_le_bytes();
            }
        }
        DType::F16 => {
            let mut halves = [f16::ZERO; 64];
            for (words, values) in out.chunks_mut(128).zip(values.chunks(64)) {
                halves[..values.len()].convert_from_f32_slice(values);
                for (word, half) in words.as_chunks_mut::<2>().0.iter_mut().zip(&halves) {
                    *word = half.to_le_bytes();
                }
            }
        }
        DType::F64 => {
            for (word, value) in out.as_chunks_mut::<8>().0.iter_mut().zip(values) {
                *word = f64::from(*value).to_le_bytes();
            }
        }
        other => panic!("`{other}` is not a weight type"),
    }
}

/// Rounds each value to a value of `dtype`.
///
/// # Panics
/// If `dtype` is not a float type of 16 bits or more.
pub fn round_through(dtype: DType, values: &mut [f32]) {
    match dtype {
        DType::F32 | DType::F64 => {}
        DType::BF16 => {
            for value in values {
                *value = f32::from_bits(u32::from(to_bf16_bits(*value)) << 16);
            }
        }
        DType::F16 => {
            let mut halves = [f16::ZERO; 64];
            for values in values.chunks_mut(64) {
                let halves = &mut halves[..values.len()];
                halves.convert_from_f32_slice(values);
                halves.convert_to_f32_slice(values);
            }
        }
        other => panic!("`{other}` is not a weight type"),
    }
}

/// The upper half of an f32, rounded to nearest, ties to even; a NaN becomes quiet.
#[inline]
pub fn to_bf16_bits(value: f32) -> u16 {
    let bits = value.to_bits();
    if bits & 0x7fff_ffff > 0x7f80_0000 {
        return (bits >> 16) as u16 | 64;
    }
    (bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16) as u16
}

/// One f16 as f32.
#[inline]
pub fn f16_to_f32(bits: u16) -> f32 {
    f16::from_bits(bits).to_f32()
}

/// An 8-bit float of 4 exponent and 3 mantissa bits as f32. The format has no infinities; its largest number is 448.
///
/// Source: Micikevicius et al. 2022, arXiv:2209.05433.
#[inline]
pub fn f8_e4m3_to_f32(bits: u8) -> f32 {
    let (exponent, mantissa) = (u32::from(bits >> 3 & 15), u32::from(bits & 7));
    let magnitude = match (exponent, mantissa) {
        (15, 7) => f32::NAN,
        (0, _) => mantissa as f32 / 512.0,
        _ => f32::from_bits((exponent + 120) << 23 | mantissa << 20),
    };
    if bits & 0x80 == 0 { magnitude } else { -magnitude }
}

/// One f32 as f16, rounded to nearest, ties to even.
#[inline]
pub fn f32_to_f16(value: f32) -> u16 {
    f16::from_f32(value).to_bits()
}

/// One bf16 as f32.
#[inline]
pub fn bf16_to_f32(bits: u16) -> f32 {
    bf16::from_bits(bits).to_f32()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_16_bit_pattern_survives_a_round_trip() {
        for bits in 0..=u16::MAX {
            for (dtype, is_nan) in
                [(DType::F16, f16::from_bits(bits).is_nan()), (DType::BF16, bf16::from_bits(bits).is_nan())]
            {
                let mut value = [0.0];
                to_f32(dtype, &bits.to_le_bytes(), &mut value);
                let mut back = [0; 2];
                from_f32(dtype, &value, &mut back);
                assert!(is_nan && value[0].is_nan() || back == bits.to_le_bytes(), "{dtype} {bits:04x}");
            }
        }
    }

    #[test]
    fn eight_bit_floats_have_the_values_of_their_formats() {
        let widen = |dtype, byte: u8| {
            let mut value = [0.0];
            to_f32(dtype, &[byte], &mut value);
            value[0]
        };
        let e4m3 = |byte| widen(DType::F8E4M3, byte);
        assert_eq!(
            [e4m3(0), e4m3(0x01), e4m3(0x07), e4m3(0x08)],
            [0.0, 1.0 / 512.0, 7.0 / 512.0, 8.0 / 512.0]
        );
        assert_eq!([e4m3(0x38), e4m3(0xb8), e4m3(0x3c), e4m3(0x7e)], [1.0, -1.0, 1.5, 448.0]);
        assert!(e4m3(0x7f).is_nan() && e4m3(0xff).is_nan());
        let e5m2 = |byte| widen(DType::F8E5M2, byte);
        assert_eq!([e5m2(0x01), e5m2(0x3c), e5m2(0xc2), e5m2(0x7b)], [2f32.powi(-16), 1.0, -3.0, 57344.0]);
        assert!(e5m2(0x7c).is_infinite() && e5m2(0x7d).is_nan());
    }

    proptest! {
        #[test]
        fn bulk_conversion_equals_single_conversions(values in proptest::collection::vec(any::<f32>(), 0..200)) {
            for dtype in [DType::F16, DType::BF16, DType::F32, DType::F64] {
                let mut bytes = vec![0; values.len() * dtype.n_bytes()];
                from_f32(dtype, &values, &mut bytes);
                let mut widened = vec![0.0; values.len()];
                to_f32(dtype, &bytes, &mut widened);
                let mut rounded = values.clone();
                round_through(dtype, &mut rounded);
                for ((value, widened), rounded) in values.iter().zip(&widened).zip(&rounded) {
                    let expected = match dtype {
                        DType::F16 => f16::from_f32(*value).to_f32(),
                        DType::BF16 => bf16::from_f32(*value).to_f32(),
                        _ => *value,
                    };
                    prop_assert!(expected.is_nan() && widened.is_nan() || expected.to_bits() == widened.to_bits());
                    prop_assert!(rounded.is_nan() && widened.is_nan() || rounded.to_bits() == widened.to_bits());
                }
            }
        }
    }
}
