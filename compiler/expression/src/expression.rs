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

use std::cell::Cell;
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
    /// The numbers in the quantized blocks of an input.
    Decode {
        /// Which input.
        input: usize,
        /// The codec's name.
        codec: &'static str,
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
    /// Rows reordered head by head from the interleaved rotary order to Hugging Face's half-split one.
    HalfSplitHeads {
        /// Number of heads that the rows belong to.
        n_heads: u64,
        /// What is reordered.
        of: Box<Self>,
    },
    /// The same weight of several models made into one.
    Blend(Box<Blend>),
    /// A number added to every element.
    AddConstant {
        /// The number.
        value: f32,
        /// What it is added to.
        of: Box<Self>,
    },
    /// Multiplied by scales that blocks of rows and columns share; blocks at the edges may be smaller.
    ScaleBlocks {
        /// The weight `[rows, columns]`.
        of: Box<Self>,
        /// One number for each block; a load of as many elements as there are blocks, row-major.
        scales: Box<Self>,
        /// Rows and columns of a block.
        block: [u64; 2],
    },
    /// Tensors of one shape, one after another along a new slowest dimension.
    Stack {
        /// The tensors; at least one.
        of: Vec<Self>,
    },
    /// The same elements in another shape with rows of the same length.
    Reshape {
        /// The shape.
        shape: Vec<u64>,
        /// What is reshaped.
        of: Box<Self>,
    },
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
            Self::Load { shape, .. } | Self::Decode { shape, .. } => shape.clone(),
            Self::Literal { values } => vec![values.len() as u64],
            Self::Blend(blend) => blend.shape(),
            Self::Adapter(step) => step.shape(),
            Self::AddLowRank { of, .. }
            | Self::Cast { of, .. }
            | Self::AddConstant { of, .. }
            | Self::ScaleBlocks { of, .. }
            | Self::PermuteHeads { of, .. }
            | Self::HalfSplitHeads { of, .. }
            | Self::Quantize { of, .. } => of.shape(),
            Self::Stack { of } => {
                let part = of.first().map(Self::shape).unwrap_or_default();
                [vec![of.len() as u64], part].concat()
            }
            Self::Reshape { shape, .. } => shape.clone(),
        }
    }

    /// How many inputs it reads: one more than the highest number.
    pub fn n_inputs(&self) -> usize {
        let n_inputs = Cell::new(0);
        drop(self.map_inputs(&|input| {
            n_inputs.set(n_inputs.get().max(input + 1));
            input
        }));
        n_inputs.get()
    }

    /// The same expression with every input number changed by `renumber`.
    #[must_use]
    pub fn map_inputs(&self, renumber: &dyn Fn(usize) -> usize) -> Self {
        let map = |of: &Self| Box::new(of.map_inputs(renumber));
        match self {
            Self::Load { input, dtype, shape } => {
                Self::Load { input: renumber(*input), dtype: *dtype, shape: shape.clone() }
            }
            Self::Decode { input, codec, shape } => {
                Self::Decode { input: renumber(*input), codec, shape: shape.clone() }
            }
            Self::Literal { values } => Self::Literal { values: values.clone() },
            Self::Blend(blend) => Self::Blend(Box::new(blend.map_inputs(renumber))),
            Self::AddLowRank { of, up, down, scale } => {
                Self::AddLowRank { of: map(of), up: map(up), down: map(down), scale: *scale }
            }
            Self::Adapter(step) => Self::Adapter(step.map_parts(&map)),
            Self::Cast { dtype, of } => Self::Cast { dtype: *dtype, of: map(of) },
            Self::PermuteHeads { n_heads, of } => Self::PermuteHeads { n_heads: *n_heads, of: map(of) },
            Self::HalfSplitHeads { n_heads, of } => Self::HalfSplitHeads { n_heads: *n_heads, of: map(of) },
            Self::AddConstant { value, of } => Self::AddConstant { value: *value, of: map(of) },
            Self::ScaleBlocks { of, scales, block } => {
                Self::ScaleBlocks { of: map(of), scales: map(scales), block: *block }
            }
            Self::Stack { of } => {
                Self::Stack { of: of.iter().map(|part| part.map_inputs(renumber)).collect() }
            }
            Self::Reshape { shape, of } => Self::Reshape { shape: shape.clone(), of: map(of) },
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
            Self::Decode { input, codec, shape } => write!(formatter, "decode(${input}, {codec}, {shape:?})"),
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
            Self::HalfSplitHeads { n_heads, of } => write!(formatter, "half_split({n_heads}, {of})"),
            Self::AddConstant { value, of } => write!(formatter, "add({:08x}, {of})", value.to_bits()),
            Self::ScaleBlocks { of, scales, block } => {
                write!(formatter, "scale_blocks({block:?}, {scales}, {of})")
            }
            Self::Stack { of } => {
                formatter.write_str("stack(")?;
                for (index, part) in of.iter().enumerate() {
                    write!(formatter, "{}{part}", if index == 0 { "" } else { ", " })?;
                }
                formatter.write_str(")")
            }
            Self::Reshape { shape, of } => write!(formatter, "reshape({shape:?}, {of})"),
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
        assert_eq!(expression.n_inputs(), 3);
        let stack = TensorExpr::Stack { of: vec![*load(0), *load(1)] };
        assert_eq!(stack.shape(), [2, 4, 8]);
        let scaled = TensorExpr::ScaleBlocks { of: load(0), scales: load(1), block: [128, 128] };
        let flat = TensorExpr::Reshape { shape: vec![1, 4, 8], of: Box::new(scaled) };
        let offset = TensorExpr::AddConstant { value: 1.0, of: Box::new(flat) };
        assert_eq!(
            offset.map_inputs(&|input| input + 2).to_string(),
            "add(3f800000, reshape([1, 4, 8], scale_blocks([128, 128], load($3, BF16, [4, 8]), load($2, BF16, [4, 8]))))"
        );
        let blocks = TensorExpr::Decode { input: 1, codec: "Q4_K", shape: vec![4, 256] };
        let split = TensorExpr::HalfSplitHeads { n_heads: 2, of: Box::new(blocks) };
        assert_eq!(split.shape(), [4, 256]);
        assert_eq!(
            split.map_inputs(&|input| input + 2).to_string(),
            "half_split(2, decode($3, Q4_K, [4, 256]))"
        );
        assert!(stack.to_string().starts_with("stack(load($0, BF16, [4, 8]), load($1"));
        assert!(expression.map_inputs(&|input| input + 5).to_string().contains("load($7"));
    }
}
