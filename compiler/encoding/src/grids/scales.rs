//! Storage of scales: which numbers a scale can be, and their bytes.

use mc_tensor::convert;
use mc_tensor::dtype::DType;

/// Type in which the scales of a grid are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScaleType {
    /// The type of the weights, if it is F16 or BF16; otherwise F32.
    OfWeights,
    /// Always this format.
    Fixed(ScaleFormat),
    /// [`ScaleFormat::PowerOfTwo`] of a number in the type of the weights.
    PowerOfTwo,
}

/// Format of stored scales.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScaleFormat {
    /// Floats of this type, of 16 or 32 bits.
    Float(DType),
    /// Floats of this type that are positive and not subnormal, because some runtimes refuse others.
    Normal(DType),
    /// As [`Self::Normal`] of F16, and of those only the numbers that BF16 has, too: XNNPACK reads F16 and computes with
    /// the nearest BF16.
    NormalInBoth,
    /// A byte `e` for the power of two `2^(e - 127)` (E8M0). The exact scale is a number of this type first, because MLX
    /// divides in the type of the weights; this matters where F16 is subnormal.
    PowerOfTwo(DType),
    /// A byte with an unsigned float of four exponent and three mantissa bits (E4M3), at most 448.
    Float8,
}

/// The largest number of [`ScaleFormat::Float8`].
const MAX_FLOAT8: f32 = 448.0;

/// The largest and the smallest number of [`ScaleFormat::NormalInBoth`].
const MAX_IN_BOTH: f32 = 65_280.0;
const MIN_IN_BOTH: f32 = 1.0 / 16_384.0;

/// The byte of [`MAX_FLOAT8`].
pub(crate) const MAX_FLOAT8_BYTE: u8 = 0x7e;

impl ScaleFormat {
    /// Type of the elements of a plane of scales.
    pub fn dtype(self) -> DType {
        match self {
            Self::Float(dtype) | Self::Normal(dtype) => dtype,
            Self::NormalInBoth => DType::F16,
            Self::PowerOfTwo(_) | Self::Float8 => DType::U8,
        }
    }

    /// The stored scale for a group that needs `scale`, which is finite and at least zero.
    ///
    /// Zero becomes 1: the codes are zeros in any case, and some runtimes refuse scales of zero. Only
    /// [`Self::Float8`] keeps it, as MLX does. Powers of two are rounded up, so that no weight is cut off; the other
    /// formats round to nearest.
    pub fn round(self, scale: f32) -> f32 {
        match self {
            Self::Float(dtype) => one_if_zero(rounded(dtype, scale)),
            Self::Normal(dtype) if scale > 0.0 => rounded(dtype, scale).max(min_normal(dtype)),
            Self::NormalInBoth if scale > 0.0 => rounded(DType::BF16, scale).clamp(MIN_IN_BOTH, MAX_IN_BOTH),
            Self::PowerOfTwo(dtype) => power_of_two(exponent_byte(one_if_zero(rounded(dtype, scale)))),
            Self::Float8 => convert::f8_e4m3_to_f32(float8_byte(scale)),
            Self::Normal(_) | Self::NormalInBoth => 1.0,
        }
    }

    /// Writes scales as little-endian elements.
    ///
    /// # Panics
    /// If the lengths disagree.
    pub fn write(self, scales: &[f32], out: &mut [u8]) {
        match self {
            Self::Float(_) | Self::Normal(_) | Self::NormalInBoth => {
                convert::from_f32(self.dtype(), scales, out);
            }
            Self::PowerOfTwo(_) => write_bytes(scales, out, exponent_byte),
            Self::Float8 => write_bytes(scales, out, float8_byte),
        }
    }

    /// Reads scales. Accepts any bytes.
    ///
    /// # Panics
    /// If the lengths disagree.
    pub fn read(self, bytes: &[u8], out: &mut [f32]) {
        match self {
            Self::Float(_) | Self::Normal(_) | Self::NormalInBoth => {
                convert::to_f32(self.dtype(), bytes, out);
            }
            Self::PowerOfTwo(_) => read_bytes(bytes, out, power_of_two),
            Self::Float8 => read_bytes(bytes, out, convert::f8_e4m3_to_f32),
        }
    }
}

/// Rounded to the type, at most its largest number.
fn rounded(dtype: DType, scale: f32) -> f32 {
    let mut rounded = [scale];
    convert::round_through(dtype, &mut rounded);
    match dtype {
        DType::F16 if rounded[0].is_infinite() => 65_504.0,
        _ => rounded[0],
    }
}

fn one_if_zero(scale: f32) -> f32 {
    if scale == 0.0 { 1.0 } else { scale }
}

fn min_normal(dtype: DType) -> f32 {
    match dtype {
        DType::F16 => convert::f16_to_f32(0x0400),
        _ => f32::MIN_POSITIVE,
    }
}

fn write_bytes(scales: &[f32], out: &mut [u8], byte: impl Fn(f32) -> u8) {
    assert_eq!(scales.len(), out.len(), "bytes of the scales");
    for (out, scale) in out.iter_mut().zip(scales) {
        *out = byte(*scale);
    }
}

fn read_bytes(bytes: &[u8], out: &mut [f32], scale: impl Fn(u8) -> f32) {
    assert_eq!(bytes.len(), out.len(), "bytes of the scales");
    for (out, byte) in out.iter_mut().zip(bytes) {
        *out = scale(*byte);
    }
}

/// `2^(byte - 127)`; 255 is NaN.
fn power_of_two(byte: u8) -> f32 {
    match byte {
        0 => f32::from_bits(0x0040_0000),
        0xff => f32::NAN,
        _ => f32::from_bits(u32::from(byte) << 23),
    }
}

/// The byte of the smallest power of two that is not less than `scale`, within its range of 2^-127 to 2^127.
fn exponent_byte(scale: f32) -> u8 {
    let bits = scale.to_bits();
    let (exponent, mantissa) = (bits >> 23, bits & 0x007f_ffff);
    // The middle of the subnormal numbers is 2^-127.
    let exact = if exponent == 0 { 0x0040_0000 } else { 0 };
    (exponent + u32::from(mantissa > exact)).min(254) as u8
}

/// The byte of the nearest E4M3 number, ties to even, at most 448.
pub(crate) fn float8_byte(scale: f32) -> u8 {
    let scale = scale.min(MAX_FLOAT8);
    if scale < 1.0 / 64.0 {
        // Subnormal: in units of 2^-9.
        return (scale * 512.0).round_ties_even() as u8;
    }
    let bits = scale.to_bits();
    let rounded = (bits + 0x0007_ffff + (bits >> 20 & 1)) >> 20;
    (rounded - (120 << 3)).min(u32::from(MAX_FLOAT8_BYTE)) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_a_scale_reads_back() {
        for byte in 0..=254 {
            assert_eq!(exponent_byte(power_of_two(byte)), byte);
        }
        for byte in 0..=MAX_FLOAT8_BYTE {
            assert_eq!(float8_byte(convert::f8_e4m3_to_f32(byte)), byte);
        }
        assert_eq!(float8_byte(1e9), MAX_FLOAT8_BYTE);
    }

    #[test]
    fn powers_of_two_are_rounded_up() {
        let round = |scale| ScaleFormat::PowerOfTwo(DType::F32).round(scale);
        assert_eq!([round(0.0), round(1.0), round(1.001), round(3.0), round(0.3)], [1.0, 1.0, 2.0, 4.0, 0.5]);
        assert_eq!(round(f32::MAX), 2.0_f32.powi(127));
        assert_eq!(round(1e-45), 2.0_f32.powi(-127));
        assert_eq!(ScaleFormat::PowerOfTwo(DType::F16).round(1e-9), 1.0);
        assert_eq!([round(1024.0), round(1024.0_f32.next_up())], [1024.0, 2048.0]);
    }

    #[test]
    fn float8_rounds_to_even() {
        let round = |scale| ScaleFormat::Float8.round(scale);
        assert_eq!([round(1.0), round(1.0625), round(1.1875), round(460.0)], [1.0, 1.0, 1.25, 448.0]);
        assert_eq!([round(0.0), round(0.5 / 512.0), round(1.5 / 512.0)], [0.0, 0.0, 2.0 / 512.0]);
        assert_eq!(round(1.0 / 64.0 - 1e-5), 1.0 / 64.0);
    }

    #[test]
    fn floats_have_their_stored_precision() {
        let exact = convert::f16_to_f32(convert::f32_to_f16(0.1 / 7.0));
        assert_eq!(ScaleFormat::Float(DType::F16).round(0.1 / 7.0), exact);
        assert_eq!(ScaleFormat::Float(DType::F16).round(1e-9), 1.0);
        assert_eq!(ScaleFormat::Float(DType::F16).round(1e9), 65_504.0);
        assert_eq!(ScaleFormat::Float(DType::F32).round(1e-9), 1e-9);
    }

    #[test]
    fn normal_floats_are_never_subnormal() {
        let round = |scale| ScaleFormat::Normal(DType::F16).round(scale);
        assert_eq!([round(0.0), round(2.0)], [1.0, 2.0]);
        for tiny in [1e-45, 1e-9, 1e-5, 6.1e-5] {
            assert_eq!(round(tiny), 2.0_f32.powi(-14));
        }
        assert_eq!(ScaleFormat::Normal(DType::F32).round(1e-45), f32::MIN_POSITIVE);
    }
    #[test]
    fn numbers_in_both_types_are_exact_in_each() {
        let round = |scale| ScaleFormat::NormalInBoth.round(scale);
        for scale in [1e-45, 1e-9, 6.1e-5, 1.0 / 3.0, 0.1 / 7.0, 1.003_906_3, 65_400.0, f32::MAX] {
            let found = round(scale);
            for dtype in [DType::F16, DType::BF16] {
                assert_eq!(rounded(dtype, found), found, "{scale} as {dtype}");
            }
            let mut read = [0.0];
            let mut bytes = [0; 2];
            ScaleFormat::NormalInBoth.write(&[found], &mut bytes);
            ScaleFormat::NormalInBoth.read(&bytes, &mut read);
            assert_eq!(read, [found]);
        }
        assert_eq!([round(0.0), round(1e-9), round(1e9)], [1.0, MIN_IN_BOTH, MAX_IN_BOTH]);
    }
}
