//! The operators of LiteRT that files use, with their numbers and the versions that this crate relies on.
//!
//! Source: `BuiltinOperator` and `BuiltinOptions`, schema.fbs of LiteRT; versions: `op_version.cc`.

use crate::tflite::element_type::ElementType;

/// An operator of LiteRT.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Code {
    Add,
    BatchMatmul,
    Cast,
    Concatenation,
    Cos,
    Div,
    DynamicUpdateSlice,
    EmbeddingLookup,
    Exp,
    FullyConnected,
    Gather,
    Gelu,
    Greater,
    Logistic,
    Maximum,
    Mean,
    Minimum,
    Mul,
    ReduceMax,
    ReduceMin,
    Reshape,
    Round,
    Rsqrt,
    SelectV2,
    Sin,
    Slice,
    Softmax,
    Sub,
    Sum,
    Tanh,
    Transpose,
}

impl Code {
    /// Its number in a file.
    pub(crate) fn number(self) -> i32 {
        match self {
            Self::Add => 0,
            Self::Concatenation => 2,
            Self::EmbeddingLookup => 7,
            Self::FullyConnected => 9,
            Self::Logistic => 14,
            Self::Mul => 18,
            Self::Reshape => 22,
            Self::Softmax => 25,
            Self::Tanh => 28,
            Self::Gather => 36,
            Self::Transpose => 39,
            Self::Mean => 40,
            Self::Sub => 41,
            Self::Div => 42,
            Self::Exp => 47,
            Self::Cast => 53,
            Self::Maximum => 55,
            Self::Minimum => 57,
            Self::Greater => 61,
            Self::Slice => 65,
            Self::Sin => 66,
            Self::Sum => 74,
            Self::Rsqrt => 76,
            Self::ReduceMax => 82,
            Self::ReduceMin => 89,
            Self::Cos => 108,
            Self::Round => 116,
            Self::SelectV2 => 123,
            Self::BatchMatmul => 126,
            Self::Gelu => 150,
            Self::DynamicUpdateSlice => 151,
        }
    }

    /// The version that understands weights of this type.
    pub(crate) fn version(self, weights: Option<ElementType>) -> i32 {
        match (self, weights) {
            (Self::EmbeddingLookup, Some(ElementType::I8)) => 3,
            (Self::EmbeddingLookup, Some(ElementType::I4)) => 4,
            (Self::FullyConnected, Some(ElementType::I8 | ElementType::I4)) => 9,
            (Self::FullyConnected, _) => 5,
            _ => 1,
        }
    }
}

/// Options of an operator.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Options {
    /// A table without fields, with this number in the union of options; 0 for none at all.
    Plain(u8),
    /// The types of a conversion.
    Cast { from: ElementType, to: ElementType },
    /// The dimension along which tensors are concatenated.
    Concatenation { axis: i32 },
    /// The product keeps the leading dimensions.
    FullyConnected,
    /// The dimension whose elements are selected.
    Gather { axis: i32 },
    /// The approximation by the hyperbolic tangent.
    GeluTanh,
    /// The second factor's rows are the columns of the product.
    BatchMatmulTransposed,
    /// True if reduced dimensions stay, with a length of 1.
    Reducer { keeps_dims: bool },
    /// The new shape.
    Reshape { shape: Vec<u32> },
    /// A factor of 1.
    Softmax,
}

impl Options {
    /// Its number in the union of options.
    pub(crate) fn number(&self) -> u8 {
        match self {
            Self::Plain(number) => *number,
            Self::FullyConnected => 8,
            Self::Softmax => 9,
            Self::Concatenation { .. } => 10,
            Self::Reshape { .. } => 17,
            Self::Gather { .. } => 23,
            Self::Reducer { .. } => 27,
            Self::Cast { .. } => 37,
            Self::BatchMatmulTransposed => 101,
            Self::GeluTanh => 116,
        }
    }

    /// The options of an operator that has none to choose.
    pub(crate) fn of(code: Code) -> Self {
        Self::Plain(match code {
            Code::Add => 11,
            Code::Mul => 21,
            Code::Transpose => 26,
            Code::Sub => 28,
            Code::Div => 29,
            Code::Exp => 33,
            Code::Maximum | Code::Minimum => 39,
            Code::Greater => 44,
            Code::Slice => 48,
            Code::Cos => 84,
            Code::SelectV2 => 98,
            Code::DynamicUpdateSlice => 117,
            _ => 0,
        })
    }
}
