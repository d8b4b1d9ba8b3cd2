//! Evaluates tensor expressions a few rows at a time, in f32, in a fixed order.
//!
//! Any range of rows can be asked for by itself, so memory is bounded by the tile and not by the tensor, and tiles can
//! be computed side by side: no sum crosses rows.

use std::ops::Range;

use mc_codec::codec::Codec;
use mc_codec::codecs;
use mc_expression::expression::TensorExpr;
use mc_ir::action::{ActionContext, ActionError, Content};
use mc_tensor::block_scales::BlockScales;
use mc_tensor::convert;
use mc_tensor::dtype::DType;
use mc_tensor::low_rank::add_low_rank;

use crate::expression::blend_evaluate::Blended;
use crate::expression::evaluate_adapter::AdapterNode;
use crate::expression::factor::{Factor, block_stretch, load, load_blocks, stretch};

/// An expression with its inputs at hand.
///
/// The top of the expression may be a `quantize`: it is left to the caller, who encodes the rows.
pub(crate) struct Evaluator {
    node: Node,
    /// Rows of the result; a vector is one row.
    pub(crate) n_rows: u64,
    /// Columns of the result.
    pub(crate) n_cols: usize,
}

/// A part of an expression with its inputs at hand.
pub(crate) enum Node {
    Load {
        bytes: Content,
        dtype: DType,
    },
    Decode {
        bytes: Content,
        codec: &'static Codec,
    },
    Literal(Vec<f32>),
    AddLowRank {
        of: Box<Self>,
        up: Factor,
        down: Vec<f32>,
        scale: f32,
    },
    Blend(Box<Blended>),
    Adapter(AdapterNode),
    Cast {
        dtype: DType,
        of: Box<Self>,
    },
    PermuteHeads {
        head_dim: u64,
        of: Box<Self>,
    },
    HalfSplitHeads {
        head_dim: u64,
        of: Box<Self>,
    },
    /// Either of the two for a vector: its elements are the rows.
    ReorderElements {
        head_dim: u64,
        source: fn(u64, u64) -> u64,
        of: Box<Self>,
    },
    AddConstant {
        value: f32,
        of: Box<Self>,
    },
    ScaleBlocks {
        scales: BlockScales,
        of: Box<Self>,
    },
    Stack {
        parts: Vec<Self>,
        rows_per_part: u64,
    },
}

impl Evaluator {
    /// Maps the inputs and reads what every row needs (the `A` matrix of a low-rank update).
    ///
    /// # Errors
    /// When an input cannot be read or has not the length that its shape says.
    pub(crate) fn new(expression: &TensorExpr, ctx: &dyn ActionContext) -> Result<Self, ActionError> {
        let expression = match expression {
            TensorExpr::Quantize { of, .. } => of,
            other => other,
        };
        let (n_rows, n_cols) = rows_and_columns(&expression.shape());
        let n_cols = usize::try_from(n_cols).map_err(ActionError::failed)?;
        Ok(Self { node: Node::new(expression, ctx)?, n_rows, n_cols })
    }

    /// Computes the rows `first..first + out.len() / n_cols` into `out`.
    pub(crate) fn rows(&self, first: u64, out: &mut [f32]) -> Result<(), ActionError> {
        self.node.rows(first, self.n_cols, out)
    }

    /// The bytes of the same rows as they are stored; an error where anything is done to them.
    pub(crate) fn stored_rows(&self, first: u64, n_rows: u64) -> Result<Vec<u8>, ActionError> {
        let mut bytes = Vec::new();
        self.node.stored_rows(first, n_rows, self.n_cols, &mut bytes)?;
        Ok(bytes)
    }
}

/// The shape as a matrix: a vector is one row, leading dimensions are folded into rows.
pub(crate) fn rows_and_columns(shape: &[u64]) -> (u64, u64) {
    match shape {
        [] => (1, 1),
        [leading @ .., n_cols] => (leading.iter().product(), *n_cols),
    }
}

impl Node {
    pub(crate) fn new(expression: &TensorExpr, ctx: &dyn ActionContext) -> Result<Self, ActionError> {
        Ok(match expression {
            TensorExpr::Load { input, dtype, shape } => {
                Self::Load { bytes: load(ctx, *input, *dtype, shape)?, dtype: *dtype }
            }
            TensorExpr::Decode { input, codec, shape } => {
                let codec = codecs::by_name(codec)
                    .ok_or_else(|| ActionError::failed(format!("No codec is called {codec}")))?;
                Self::Decode { bytes: load_blocks(ctx, *input, codec, shape)?, codec }
            }
            TensorExpr::Literal { values } => Self::Literal(values.clone()),
            TensorExpr::AddLowRank { of, up, down, scale } => {
                let (up, down) = (Factor::new(up, ctx)?, Factor::new(down, ctx)?);
                let of = Box::new(Self::new(of, ctx)?);
                Self::AddLowRank { of, up, down: down.all()?, scale: *scale }
            }
            TensorExpr::Blend(blend) => Self::Blend(Box::new(Blended::new(blend, ctx)?)),
            TensorExpr::Adapter(step) => Self::Adapter(AdapterNode::new(step, ctx)?),
            TensorExpr::Cast { dtype, of } => Self::Cast { dtype: *dtype, of: Box::new(Self::new(of, ctx)?) },
            TensorExpr::PermuteHeads { n_heads, of } => {
                let node = Box::new(Self::new(of, ctx)?);
                match of.shape().as_slice() {
                    [n] => Self::ReorderElements { head_dim: n / n_heads, source: half_split_row, of: node },
                    shape => Self::PermuteHeads { head_dim: rows_and_columns(shape).0 / n_heads, of: node },
                }
            }
            TensorExpr::HalfSplitHeads { n_heads, of } => {
                let node = Box::new(Self::new(of, ctx)?);
                match of.shape().as_slice() {
                    [n] => Self::ReorderElements { head_dim: n / n_heads, source: interleaved_row, of: node },
                    shape => Self::HalfSplitHeads { head_dim: rows_and_columns(shape).0 / n_heads, of: node },
                }
            }
            TensorExpr::AddConstant { value, of } => {
                Self::AddConstant { value: *value, of: Box::new(Self::new(of, ctx)?) }
            }
            TensorExpr::ScaleBlocks { of, scales, block } => {
                let (_, n_cols) = rows_and_columns(&of.shape());
                let n_cols = usize::try_from(n_cols).map_err(ActionError::failed)?;
                let scales = BlockScales::new(block_scales(ctx, of, scales, *block)?, *block, n_cols);
                Self::ScaleBlocks { scales, of: Box::new(Self::new(of, ctx)?) }
            }
            TensorExpr::Stack { of } => {
                let part = of.first().map(TensorExpr::shape).unwrap_or_default();
                if of.iter().any(|other| other.shape() != part) {
                    return Err(ActionError::failed("Only tensors of one shape can be stacked"));
                }
                let parts = of.iter().map(|part| Self::new(part, ctx)).collect::<Result<_, _>>()?;
                Self::Stack { parts, rows_per_part: rows_and_columns(&part).0 }
            }
            TensorExpr::Reshape { shape, of } => {
                if rows_and_columns(shape) != rows_and_columns(&of.shape()) {
                    return Err(ActionError::failed(
                        "A tensor can only be reshaped to rows of the same length",
                    ));
                }
                Self::new(of, ctx)?
            }
            TensorExpr::Quantize { .. } => {
                return Err(ActionError::failed("`quantize` can only be the last step of an expression"));
            }
        })
    }

    pub(crate) fn rows(&self, first: u64, n_cols: usize, out: &mut [f32]) -> Result<(), ActionError> {
        match self {
            Self::Load { bytes, dtype } => {
                let piece = stretch(bytes, *dtype, first, n_cols, out.len())?;
                convert::to_f32(*dtype, &piece, out);
            }
            Self::Decode { bytes, codec } => {
                codec.decode(&block_stretch(bytes, codec, first, n_cols, out.len())?, out);
            }
            Self::Literal(values) => out.copy_from_slice(values),
            Self::AddLowRank { of, up, down, scale } => {
                of.rows(first, n_cols, out)?;
                let mut up_rows = vec![0.0; out.len() / n_cols * up.n_cols];
                up.rows(first, &mut up_rows)?;
                add_low_rank(out, &up_rows, down, n_cols, up.n_cols, *scale).map_err(ActionError::failed)?;
            }
            Self::Blend(blended) => blended.rows(first, n_cols, out)?,
            Self::Adapter(step) => step.rows(first, n_cols, out)?,
            Self::Cast { dtype, of } => {
                of.rows(first, n_cols, out)?;
                convert::round_through(*dtype, out);
            }
            Self::PermuteHeads { head_dim, of } => {
                for (offset, row) in (0..).zip(out.chunks_exact_mut(n_cols)) {
                    of.rows(half_split_row(first + offset, *head_dim), n_cols, row)?;
                }
            }
            Self::HalfSplitHeads { head_dim, of } => {
                for (offset, row) in (0..).zip(out.chunks_exact_mut(n_cols)) {
                    of.rows(interleaved_row(first + offset, *head_dim), n_cols, row)?;
                }
            }
            Self::ReorderElements { head_dim, source, of } => {
                let mut values = vec![0.0; out.len()];
                of.rows(first, n_cols, &mut values)?;
                for (index, value) in (0..).zip(out.iter_mut()) {
                    *value = values[source(index, *head_dim) as usize];
                }
            }
            Self::AddConstant { value, of } => {
                of.rows(first, n_cols, out)?;
                for element in out {
                    *element += value;
                }
            }
            Self::ScaleBlocks { scales, of } => {
                of.rows(first, n_cols, out)?;
                scales.apply(first, n_cols, out);
            }
            Self::Stack { parts, rows_per_part } => {
                let mut rest = out;
                for (part, rows) in parts_of(first, (rest.len() / n_cols) as u64, *rows_per_part) {
                    let n_rows = rows.end - rows.start;
                    let (of_part, behind) = rest.split_at_mut(n_rows as usize * n_cols);
                    parts[part].rows(rows.start, n_cols, of_part)?;
                    rest = behind;
                }
            }
        }
        Ok(())
    }

    fn stored_rows(
        &self,
        first: u64,
        n_rows: u64,
        n_cols: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), ActionError> {
        let n_elements = usize::try_from(n_rows).map_err(ActionError::failed)? * n_cols;
        match self {
            Self::Load { bytes, dtype } => {
                out.extend_from_slice(&stretch(bytes, *dtype, first, n_cols, n_elements)?);
            }
            Self::Decode { bytes, codec } => {
                out.extend_from_slice(&block_stretch(bytes, codec, first, n_cols, n_elements)?);
            }
            Self::Stack { parts, rows_per_part } => {
                for (part, rows) in parts_of(first, n_rows, *rows_per_part) {
                    parts[part].stored_rows(rows.start, rows.end - rows.start, n_cols, out)?;
                }
            }
            _ => return Err(ActionError::failed("Only what is stored can be copied")),
        }
        Ok(())
    }
}

/// Where row `row` of the interleaved order stands in the half-split order.
///
/// Interleaved row `2i + p` of a head is half-split row `p * head_dim / 2 + i`.
fn half_split_row(row: u64, head_dim: u64) -> u64 {
    let (head, within) = (row / head_dim, row % head_dim);
    head * head_dim + (within % 2) * (head_dim / 2) + within / 2
}

/// Where row `row` of the half-split order stands in the interleaved order; undoes [`half_split_row`].
fn interleaved_row(row: u64, head_dim: u64) -> u64 {
    let (head, within) = (row / head_dim, row % head_dim);
    let half = head_dim / 2;
    head * head_dim + 2 * (within % half) + within / half
}

/// The parts of a stack that rows `first..first + n_rows` lie in, each with its own rows.
fn parts_of(first: u64, n_rows: u64, rows_per_part: u64) -> impl Iterator<Item = (usize, Range<u64>)> {
    let end = first + n_rows;
    let mut row = first;
    std::iter::from_fn(move || {
        let (part, within) = (row / rows_per_part, row % rows_per_part);
        let n_rows = (rows_per_part - within).min(end - row);
        row += n_rows;
        (n_rows > 0).then_some((part as usize, within..within + n_rows))
    })
}

/// The scales of a matrix in f32, one for each of its blocks.
fn block_scales(
    ctx: &dyn ActionContext,
    of: &TensorExpr,
    scales: &TensorExpr,
    block: [u64; 2],
) -> Result<Vec<f32>, ActionError> {
    let TensorExpr::Load { input, dtype, shape } = scales else {
        return Err(ActionError::failed("The scales of a weight must be a load"));
    };
    let (n_rows, n_cols) = rows_and_columns(&of.shape());
    let n_blocks = n_rows.div_ceil(block[0]) * n_cols.div_ceil(block[1]);
    if shape.iter().product::<u64>() != n_blocks {
        return Err(ActionError::failed(format!(
            "A weight of shape {:?} in blocks of {block:?} has {n_blocks} scales; found shape {shape:?}",
            of.shape()
        )));
    }
    let bytes = load(ctx, *input, *dtype, shape)?;
    let mut values = vec![0.0; usize::try_from(n_blocks).map_err(ActionError::failed)?];
    convert::to_f32(*dtype, &bytes.to_contiguous(), &mut values);
    Ok(values)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mc_digest::digest::BlobDigest;
    use mc_ir::action::Piece;
    use mc_ir::output::Output;

    use super::*;

    #[test]
    fn the_permutation_undoes_half_splitting() {
        // One head of eight: 0 4 1 5 2 6 3 7; a second head keeps its own rows.
        let rows: Vec<u64> = (0..16).map(|row| half_split_row(row, 8)).collect();
        assert_eq!(rows[..8], [0, 4, 1, 5, 2, 6, 3, 7]);
        assert_eq!(rows[8..], [8, 12, 9, 13, 10, 14, 11, 15]);
        assert!((0..16).all(|row| half_split_row(interleaved_row(row, 8), 8) == row));
    }

    /// Inputs that are already in memory.
    struct Inputs(Vec<Vec<u8>>);

    impl ActionContext for Inputs {
        fn input(&self, index: usize) -> Result<Content, ActionError> {
            Ok(Content { parts: vec![Piece::whole(Arc::new(self.0[index].clone()))] })
        }

        fn input_digest(&self, _: usize) -> Output {
            unreachable!("an expression has no use for digests")
        }

        fn write_blob(
            &self,
            _: &mut dyn FnMut(&mut dyn std::io::Write) -> Result<(), ActionError>,
        ) -> Result<BlobDigest, ActionError> {
            unreachable!("an expression writes nothing")
        }

        fn is_cancelled(&self) -> bool {
            false
        }
    }

    fn floats(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    fn load(input: usize, dtype: DType, shape: &[u64]) -> Box<TensorExpr> {
        Box::new(TensorExpr::Load { input, dtype, shape: shape.to_vec() })
    }

    /// Rows `first..first + n` of an expression.
    fn rows(expression: &TensorExpr, inputs: &[Vec<u8>], first: u64, n: usize) -> Vec<f32> {
        let evaluator = Evaluator::new(expression, &Inputs(inputs.to_vec())).unwrap();
        let mut out = vec![0.0; n * evaluator.n_cols];
        evaluator.rows(first, &mut out).unwrap();
        out
    }

    #[test]
    fn a_tile_may_span_the_parts_of_a_stack() {
        let inputs = [floats(&[1.0, 2.0, 3.0, 4.0]), floats(&[5.0, 6.0, 7.0, 8.0])];
        let part = |input| *load(input, DType::F32, &[2, 2]);
        let stack = TensorExpr::Stack { of: vec![part(0), part(1)] };
        assert_eq!(stack.shape(), [2, 2, 2]);
        assert_eq!(rows(&stack, &inputs, 0, 4), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
        assert_eq!(rows(&stack, &inputs, 1, 2), [3.0, 4.0, 5.0, 6.0]);
        let offset = TensorExpr::AddConstant { value: 1.0, of: Box::new(stack) };
        assert_eq!(rows(&offset, &inputs, 3, 1), [8.0, 9.0]);
    }

    #[test]
    fn weights_of_eight_bits_are_multiplied_by_the_scales_of_their_blocks() {
        // 1, 1.5 and 448 in three rows; blocks of two rows and one column.
        let inputs = [vec![0x38, 0x3c, 0x38, 0x3c, 0x7e, 0xb8], floats(&[2.0, 3.0, 0.5, 4.0])];
        let scaled = |scales: &[u64]| TensorExpr::ScaleBlocks {
            of: load(0, DType::F8E4M3, &[3, 2]),
            scales: load(1, DType::F32, scales),
            block: [2, 1],
        };
        assert_eq!(rows(&scaled(&[2, 2]), &inputs, 0, 3), [2.0, 4.5, 2.0, 4.5, 224.0, -4.0]);
        assert_eq!(rows(&scaled(&[2, 2]), &inputs, 2, 1), [224.0, -4.0]);
        assert!(Evaluator::new(&scaled(&[2, 1]), &Inputs(inputs.to_vec())).is_err());
    }

    #[test]
    fn a_kernel_is_squeezed_without_moving_a_number() {
        let inputs = [floats(&[1.0, 2.0, 3.0, 4.0])];
        let squeezed = |shape: &[u64]| TensorExpr::Reshape {
            shape: shape.to_vec(),
            of: load(0, DType::F32, &[2, 1, 2]),
        };
        assert_eq!(rows(&squeezed(&[2, 2]), &inputs, 1, 1), [3.0, 4.0]);
        assert!(Evaluator::new(&squeezed(&[4, 1]), &Inputs(inputs.to_vec())).is_err());
    }

    #[test]
    fn a_vector_is_one_row() {
        assert_eq!(rows_and_columns(&[7]), (1, 7));
        assert_eq!(rows_and_columns(&[2, 3, 4]), (6, 4));
    }
}
