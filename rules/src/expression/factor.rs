//! The small matrices of an adapter: stored as they are used, or the other way round.
//!
//! A factor is read where it lies. Of one stored the other way round (PEFT's embeddings), a row is gathered from all
//! stored rows, so no turned copy is made.

use std::borrow::Cow;

use mc_codec::codec::Codec;
use mc_expression::adapter_expression::AdapterExpr;
use mc_expression::expression::TensorExpr;
use mc_format::gguf::tensor_type::TensorType;
use mc_ir::action::{ActionContext, ActionError, Content};
use mc_tensor::convert;
use mc_tensor::dtype::DType;

use crate::expression::evaluate::rows_and_columns;

/// A matrix of an adapter with its bytes at hand; a vector is one row.
pub(crate) struct Factor {
    /// Rows.
    pub(crate) n_rows: usize,
    /// Columns.
    pub(crate) n_cols: usize,
    numbers: Numbers,
}

enum Numbers {
    Stored { bytes: Content, dtype: DType, is_turned: bool },
    Literal(Vec<f32>),
}

impl Factor {
    /// Maps the bytes.
    ///
    /// # Errors
    /// When the expression is no load, or its bytes cannot be read.
    pub(crate) fn new(expression: &TensorExpr, ctx: &dyn ActionContext) -> Result<Self, ActionError> {
        let (stored, is_turned) = match expression {
            TensorExpr::Adapter(AdapterExpr::Transpose { of }) => (&**of, true),
            other => (other, false),
        };
        let numbers = match stored {
            TensorExpr::Load { input, dtype, shape } => {
                Numbers::Stored { bytes: load(ctx, *input, *dtype, shape)?, dtype: *dtype, is_turned }
            }
            TensorExpr::Literal { values } if !is_turned => Numbers::Literal(values.clone()),
            other => {
                return Err(ActionError::failed(format!("A factor must be a load; found `{other}`")));
            }
        };
        let (n_rows, n_cols) = rows_and_columns(&expression.shape());
        Ok(Self {
            n_rows: usize::try_from(n_rows).map_err(ActionError::failed)?,
            n_cols: usize::try_from(n_cols).map_err(ActionError::failed)?,
            numbers,
        })
    }

    /// The rows from `first` on, as many as fit into `out`.
    pub(crate) fn rows(&self, first: u64, out: &mut [f32]) -> Result<(), ActionError> {
        match &self.numbers {
            Numbers::Stored { bytes, dtype, is_turned: false } => {
                let piece = stretch(bytes, *dtype, first, self.n_cols, out.len())?;
                convert::to_f32(*dtype, &piece, out);
            }
            Numbers::Stored { bytes, dtype, is_turned: true } => {
                let n_rows = out.len() / self.n_cols;
                let mut column = vec![0.0; n_rows];
                for col in 0..self.n_cols {
                    let start = (col * self.n_rows) as u64 + first;
                    convert::to_f32(*dtype, &stretch(bytes, *dtype, start, 1, n_rows)?, &mut column);
                    for (row, value) in out.chunks_exact_mut(self.n_cols).zip(&column) {
                        row[col] = *value;
                    }
                }
            }
            Numbers::Literal(values) => {
                let start = usize::try_from(first).map_err(ActionError::failed)? * self.n_cols;
                let values = values.get(start..start + out.len());
                out.copy_from_slice(values.ok_or_else(|| ActionError::failed("A literal is too short"))?);
            }
        }
        Ok(())
    }

    /// All rows.
    pub(crate) fn all(&self) -> Result<Vec<f32>, ActionError> {
        let mut values = vec![0.0; self.n_rows * self.n_cols];
        self.rows(0, &mut values)?;
        Ok(values)
    }
}

/// The bytes of an input, if there are as many as its shape says.
pub(crate) fn load(
    ctx: &dyn ActionContext,
    input: usize,
    dtype: DType,
    shape: &[u64],
) -> Result<Content, ActionError> {
    let content = ctx.input(input)?;
    let expected = shape.iter().product::<u64>() * dtype.n_bytes() as u64;
    if content.n_bytes() != expected {
        return Err(ActionError::failed(format!(
            "A tensor of shape {shape:?} and type {dtype} has {expected} bytes; found {}",
            content.n_bytes()
        )));
    }
    Ok(content)
}

/// The bytes of an input of quantized blocks, if there are as many as its shape says.
pub(crate) fn load_blocks(
    ctx: &dyn ActionContext,
    input: usize,
    codec: &Codec,
    shape: &[u64],
) -> Result<Content, ActionError> {
    let content = ctx.input(input)?;
    let dims: Vec<u64> = shape.iter().rev().copied().collect();
    let expected = TensorType::of(codec).n_bytes(&dims);
    if expected != Some(content.n_bytes()) {
        return Err(ActionError::failed(format!(
            "A tensor of shape {shape:?} and type {codec} has {} bytes; found {}",
            expected.unwrap_or(0),
            content.n_bytes()
        )));
    }
    Ok(content)
}

/// The bytes of the blocks in `n_elements` elements from the beginning of a row on.
pub(crate) fn block_stretch<'a>(
    content: &'a Content,
    codec: &Codec,
    first_row: u64,
    n_cols: usize,
    n_elements: usize,
) -> Result<Cow<'a, [u8]>, ActionError> {
    let start = first_row * codec.row_bytes(n_cols) as u64;
    bytes_at(content, start, start + codec.row_bytes(n_elements) as u64)
}

/// The bytes of `n_elements` elements from the beginning of a row on.
pub(crate) fn stretch(
    content: &Content,
    dtype: DType,
    first_row: u64,
    n_cols: usize,
    n_elements: usize,
) -> Result<Cow<'_, [u8]>, ActionError> {
    let size = dtype.n_bytes() as u64;
    let start = first_row * n_cols as u64 * size;
    bytes_at(content, start, start + n_elements as u64 * size)
}

fn bytes_at(content: &Content, start: u64, end: u64) -> Result<Cow<'_, [u8]>, ActionError> {
    let found = match content.parts.as_slice() {
        [part] => usize::try_from(start)
            .ok()
            .zip(usize::try_from(end).ok())
            .and_then(|(start, end)| part.as_slice().get(start..end).map(Cow::Borrowed)),
        _ => content.piece(start..end).map(|piece| Cow::Owned(piece.as_slice().to_vec())),
    };
    found.ok_or_else(|| ActionError::failed(format!("Bytes {start}..{end} are outside the tensor")))
}
