//! Types of the elements of tensors in a file.
//!
//! Source: `TensorType`, schema.fbs of LiteRT.

/// Type of an element.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum ElementType {
    F32,
    F16,
    I32,
    Bool,
    I8,
    I4,
}

impl ElementType {
    /// Every type.
    const ALL: [Self; 6] = [Self::F32, Self::F16, Self::I32, Self::Bool, Self::I8, Self::I4];

    /// Its number in a file.
    pub(crate) fn number(self) -> i8 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::I32 => 2,
            Self::Bool => 6,
            Self::I8 => 9,
            Self::I4 => 17,
        }
    }

    /// The type with this number.
    pub(crate) fn of_number(number: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.number() == number)
    }

    /// Its name in the schema.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::F32 => "FLOAT32",
            Self::F16 => "FLOAT16",
            Self::I32 => "INT32",
            Self::Bool => "BOOL",
            Self::I8 => "INT8",
            Self::I4 => "INT4",
        }
    }

    /// Number of bytes of `n_elements` elements; the codes of 4 bits are packed without gaps.
    pub(crate) fn n_bytes(self, n_elements: u64) -> Option<u64> {
        match self {
            Self::F32 | Self::I32 => n_elements.checked_mul(4),
            Self::F16 => n_elements.checked_mul(2),
            Self::Bool | Self::I8 => Some(n_elements),
            Self::I4 => Some(n_elements.div_ceil(2)),
        }
    }
}
