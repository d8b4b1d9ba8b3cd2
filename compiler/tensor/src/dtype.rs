//! Element types of plain (not block-quantized) tensors, named as in safetensors.
//!
//! Block quantizations are codecs, not dtypes: they are in `mc-encoding`.

use std::fmt;
use std::str::FromStr;

/// The type of one element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    /// 64-bit IEEE 754.
    F64,
    /// 32-bit IEEE 754.
    F32,
    /// 16-bit IEEE 754.
    F16,
    /// The upper half of an F32.
    BF16,
    /// 8-bit float, 4 exponent bits, 3 mantissa bits.
    F8E4M3,
    /// 8-bit float, 5 exponent bits, 2 mantissa bits.
    F8E5M2,
    /// Signed 64-bit integer.
    I64,
    /// Signed 32-bit integer.
    I32,
    /// Signed 16-bit integer.
    I16,
    /// Signed 8-bit integer.
    I8,
    /// Unsigned 64-bit integer.
    U64,
    /// Unsigned 32-bit integer.
    U32,
    /// Unsigned 16-bit integer.
    U16,
    /// Unsigned 8-bit integer.
    U8,
    /// One byte, 0 or 1.
    Bool,
}

const NAMES: [(DType, &str, usize); 15] = [
    (DType::F64, "F64", 8),
    (DType::F32, "F32", 4),
    (DType::F16, "F16", 2),
    (DType::BF16, "BF16", 2),
    (DType::F8E4M3, "F8_E4M3", 1),
    (DType::F8E5M2, "F8_E5M2", 1),
    (DType::I64, "I64", 8),
    (DType::I32, "I32", 4),
    (DType::I16, "I16", 2),
    (DType::I8, "I8", 1),
    (DType::U64, "U64", 8),
    (DType::U32, "U32", 4),
    (DType::U16, "U16", 2),
    (DType::U8, "U8", 1),
    (DType::Bool, "BOOL", 1),
];

impl DType {
    fn row(self) -> &'static (Self, &'static str, usize) {
        NAMES.iter().find(|row| row.0 == self).expect("every dtype has a row in NAMES")
    }

    /// The name in a safetensors header, such as `BF16`.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// Size of one element in bytes.
    pub fn n_bytes(self) -> usize {
        self.row().2
    }

    /// Returns true if a weight matrix of this type can be merged and quantized.
    pub fn is_weight(self) -> bool {
        matches!(self, Self::F64 | Self::F32 | Self::F16 | Self::BF16)
    }

    /// Returns true if a weight matrix of this type needs separate scales.
    pub fn is_scaled_weight(self) -> bool {
        matches!(self, Self::F8E4M3 | Self::F8E5M2)
    }
}

impl fmt::Display for DType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The text is not a safetensors dtype.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Unknown dtype `{0}`; expected one of F64, F32, F16, BF16, F8_E4M3, F8_E5M2, I64 … U8, BOOL")]
pub struct UnknownDType(pub String);

impl FromStr for DType {
    type Err = UnknownDType;

    fn from_str(text: &str) -> Result<Self, UnknownDType> {
        NAMES.iter().find(|row| row.1 == text).map(|row| row.0).ok_or_else(|| UnknownDType(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for (dtype, name, _) in NAMES {
            assert_eq!(name.parse(), Ok(dtype));
            assert_eq!(dtype.to_string(), name);
        }
        assert!("Q4_K".parse::<DType>().is_err());
    }
}
