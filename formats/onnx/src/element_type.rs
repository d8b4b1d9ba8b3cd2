//! The element types of ONNX tensors.

use mc_tensor::convert::from_f32;
use mc_tensor::dtype::DType;

/// An element type that this crate writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ElementType {
    /// 32-bit floats.
    Float,
    /// 16-bit floats.
    Float16,
    /// Bytes, which also hold packed codes.
    Uint8,
    /// 32-bit integers.
    Int32,
    /// 64-bit integers.
    Int64,
}

impl ElementType {
    /// Its number, `TensorProto.DataType`.
    pub(crate) fn code(self) -> i64 {
        match self {
            Self::Float => 1,
            Self::Uint8 => 2,
            Self::Int32 => 6,
            Self::Int64 => 7,
            Self::Float16 => 10,
        }
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Float => "FLOAT",
            Self::Uint8 => "UINT8",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Float16 => "FLOAT16",
        }
    }

    /// The type of a stored plane; `None` if models of this format have none of this type.
    pub(crate) fn of(name: &str) -> Option<Self> {
        match name {
            "F32" => Some(Self::Float),
            "F16" => Some(Self::Float16),
            "U8" => Some(Self::Uint8),
            _ => None,
        }
    }

    /// The type with this name.
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        let all = [Self::Float, Self::Float16, Self::Uint8, Self::Int32, Self::Int64];
        all.into_iter().find(|element| element.name() == name)
    }

    /// Length of one element in bytes.
    pub(crate) fn n_bytes(self) -> u64 {
        match self {
            Self::Uint8 => 1,
            Self::Float16 => 2,
            Self::Float | Self::Int32 => 4,
            Self::Int64 => 8,
        }
    }

    /// Floats in this type, as bytes. Integer types are written elsewhere.
    pub(crate) fn floats(self, values: &[f32]) -> Vec<u8> {
        let dtype = if self == Self::Float16 { DType::F16 } else { DType::F32 };
        let mut bytes = vec![0; values.len() * dtype.n_bytes()];
        from_f32(dtype, values, &mut bytes);
        bytes
    }
}

/// Name and length of the elements of every fixed-size type that a file may hold, by its number.
///
/// Source: `TensorProto.DataType`, onnx.proto.
pub(crate) fn by_code(code: u64) -> Option<(&'static str, u64)> {
    Some(match code {
        1 => ("FLOAT", 4),
        2 => ("UINT8", 1),
        3 => ("INT8", 1),
        4 => ("UINT16", 2),
        5 => ("INT16", 2),
        6 => ("INT32", 4),
        7 => ("INT64", 8),
        9 => ("BOOL", 1),
        10 => ("FLOAT16", 2),
        11 => ("DOUBLE", 8),
        12 => ("UINT32", 4),
        13 => ("UINT64", 8),
        16 => ("BFLOAT16", 2),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_types_are_read_by_their_number() {
        use ElementType::{Float, Float16, Int32, Int64, Uint8};
        for element in [Float, Float16, Uint8, Int32, Int64] {
            assert_eq!(by_code(element.code().cast_unsigned()), Some((element.name(), element.n_bytes())));
        }
    }
}
