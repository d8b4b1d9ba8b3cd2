//! Tensor expressions: how one tensor of an artifact comes from the bytes of its inputs.
//!
//! ```text
//! quantize(Q4_K@1, $3, permute(8, cast(BF16, add_low_rank(load($0, BF16, [256, 256]), $1, $2, 2))))
//! ```
//!
//! The text is canonical: it goes into the action's digest, so equal expressions over equal bytes are one step,
//! whichever target, variant or file they belong to. `$n` counts the inputs of the action.
//!
//! This module says what to compute. Evaluation, tile by tile, is in `rules`.

use std::fmt;

use mc_tensor::dtype::DType;

use crate::adapter_expression::AdapterExpr;
use crate::blend::Blend;

/// One tensor, as a formula over inputs.
#[derive(Clone, Debug, PartialEq)]
pub enum TensorExpr {
    /// The elements of an input.
    Load {
        /// Which input.
        input: usize,
        /// Type of its elements.
        dtype: DType,
        /// Row-major shape, slowest dimension first.
        shape: Vec<u64>,
    },
    /// Numbers that come from the configuration and not from a file, such as rotary factors.
    Literal {
        /// The values, as a vector.
        values: Vec<f32>,
    },
    /// `of + scale * up * down`, summed over rank in ascending order in f32.
    AddLowRank {
        /// The weight `[out, in]`.
        of: Box<Self>,
        /// `B`, `[out, rank]`; a load.
        up: Box<Self>,
        /// `A`, `[rank, in]`; a load.
        down: Box<Self>,
        /// Factor on the product.
        scale: f32,
    },
    /// What else an adapter does to a tensor.
    Adapter(AdapterExpr),
    /// Rounded to a type (and widened again where more follows).
    Cast {
        /// The type.
        dtype: DType,
        /// What is rounded.
        of: Box<Self>,
    },
    /// Rows reordered head by head from Hugging Face's half-split rotary order to the interleaved one.
    PermuteHeads {
        /// Number of heads that the rows belong to.
        n_heads: u64,
        /// What is reordered.
        of: Box<Self>,
    },
    /// The same weight of several models made into one.
    Blend(Box<Blend>),
    /// Encoded in a block codec.
    Quantize {
        /// The codec's name.
        codec: &'static str,
        /// The codec's algorithm version.
        version: u32,
        /// The input with one importance weight per column (f32), if any.
        importance: Option<usize>,
        /// What is encoded.
        of: Box<Self>,
    },
}

impl TensorExpr {
    /// The shape of the result.
    pub fn shape(&self) -> Vec<u64> {
        match self {
            Self::Load { shape, .. } => shape.clone(),
            Self::Literal { values } => vec![values.len() as u64],
            Self::Blend(blend) => blend.shape(),
            Self::Adapter(step) => step.shape(),
            Self::AddLowRank { of, .. }
            | Self::Cast { of, .. }
            | Self::PermuteHeads { of, .. }
            | Self::Quantize { of, .. } => of.shape(),
        }
    }

    /// The same expression with every input number changed by `renumber`.
    #[must_use]
    pub fn map_inputs(&self, renumber: &dyn Fn(usize) -> usize) -> Self {
        let map = |of: &Self| Box::new(of.map_inputs(renumber));
        match self {
            Self::Load { input, dtype, shape } => {
                Self::Load { input: renumber(*input), dtype: *dtype, shape: shape.clone() }
            }
            Self::Literal { values } => Self::Literal { values: values.clone() },
            Self::Blend(blend) => Self::Blend(Box::new(blend.map_inputs(renumber))),
            Self::AddLowRank { of, up, down, scale } => {
                Self::AddLowRank { of: map(of), up: map(up), down: map(down), scale: *scale }
            }
            Self::Adapter(step) => Self::Adapter(step.map_parts(&map)),
            Self::Cast { dtype, of } => Self::Cast { dtype: *dtype, of: map(of) },
            Self::PermuteHeads { n_heads, of } => Self::PermuteHeads { n_heads: *n_heads, of: map(of) },
            Self::Quantize { codec, version, importance, of } => {
                Self::Quantize { codec, version: *version, importance: importance.map(renumber), of: map(of) }
            }
        }
    }
}

impl fmt::Display for TensorExpr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load { input, dtype, shape } => write!(formatter, "load(${input}, {dtype}, {shape:?})"),
            Self::Literal { values } => {
                formatter.write_str("literal(")?;
                for value in values {
                    // Bits, because a decimal form would have to round-trip exactly.
                    write!(formatter, "{:08x}", value.to_bits())?;
                }
                formatter.write_str(")")
            }
            Self::AddLowRank { of, up, down, scale } => {
                write!(formatter, "add_low_rank({of}, {up}, {down}, {:08x})", scale.to_bits())
            }
            Self::Blend(blend) => write!(formatter, "{blend}"),
            Self::Adapter(step) => step.fmt(formatter),
            Self::Cast { dtype, of } => write!(formatter, "cast({dtype}, {of})"),
            Self::PermuteHeads { n_heads, of } => write!(formatter, "permute({n_heads}, {of})"),
            Self::Quantize { codec, version, importance, of } => match importance {
                Some(input) => write!(formatter, "quantize({codec}@{version}, ${input}, {of})"),
                None => write!(formatter, "quantize({codec}@{version}, {of})"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_shows_every_parameter() {
        let load = |input| Box::new(TensorExpr::Load { input, dtype: DType::BF16, shape: vec![4, 8] });
        let expression = TensorExpr::Quantize {
            codec: "Q8_0",
            version: 1,
            importance: None,
            of: Box::new(TensorExpr::AddLowRank { of: load(0), up: load(1), down: load(2), scale: 2.0 }),
        };
        assert_eq!(
            expression.to_string(),
            "quantize(Q8_0@1, add_low_rank(load($0, BF16, [4, 8]), load($1, BF16, [4, 8]), load($2, BF16, [4, 8]), \
             40000000))"
        );
        assert_eq!(expression.shape(), [4, 8]);
        assert!(expression.map_inputs(&|input| input + 5).to_string().contains("load($7"));
    }
}
