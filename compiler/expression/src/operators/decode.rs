//! `decode($0, Q4_K, [4, 256])`: the numbers in the quantized blocks of an input.

use std::borrow::Cow;
use std::fmt;

use mc_encoding::codec::Codec;

use crate::error::EvaluationError;
use crate::expression::{Operator, OperatorName, TensorExpr};
use crate::inputs::{InputBytes, Inputs};
use crate::parser::{OperatorRow, Parsed, Parser};
use crate::rows::{Rows, rows_and_columns};
use crate::text::Numbers;

const NAME: OperatorName = OperatorName::new("decode");

pub(crate) const ROW: OperatorRow = OperatorRow {
    name: NAME,
    parse,
    #[cfg(test)]
    draw: tests::draw,
};

/// The numbers in the quantized blocks of an input.
#[derive(Clone)]
pub struct Decode {
    /// Number of the input.
    pub input: usize,
    /// The codec of the blocks.
    pub codec: &'static Codec,
    /// Row-major shape, slowest dimension first.
    pub shape: Vec<u64>,
}

fn parse(parser: &mut Parser<'_>) -> Parsed<TensorExpr> {
    let input = parser.input()?;
    let codec = parser.then(Parser::codec)?;
    Ok(TensorExpr::new(Decode { input, codec, shape: parser.then(Parser::shape)? }))
}

impl Operator for Decode {
    fn name(&self) -> OperatorName {
        NAME
    }

    fn print(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "${}, {}, {}", self.input, self.codec, Numbers(&self.shape))
    }

    fn shape(&self) -> Vec<u64> {
        self.shape.clone()
    }

    fn map_inputs(&self, renumber: &dyn Fn(usize) -> usize) -> TensorExpr {
        TensorExpr::new(Self { input: renumber(self.input), ..self.clone() })
    }

    fn stored_codec(&self) -> Option<&'static Codec> {
        Some(self.codec)
    }

    fn evaluate(&self, inputs: &dyn Inputs) -> Result<Box<dyn Rows>, EvaluationError> {
        let Self { input, codec, shape } = self;
        let bytes = inputs.open(*input)?;
        let n_bytes = block_bytes(codec, shape);
        if n_bytes != Some(bytes.n_bytes()) {
            return Err(EvaluationError::misfit(format!(
                "A tensor of shape {} and type {codec} has {} bytes; found {}",
                Numbers(shape),
                n_bytes.unwrap_or(0),
                bytes.n_bytes()
            )));
        }
        Ok(Box::new(Decoded { bytes, codec }))
    }
}

/// Size of a tensor's blocks in bytes; `None` if a row is not a whole number of blocks, or the size overflows.
fn block_bytes(codec: &Codec, shape: &[u64]) -> Option<u64> {
    let (n_rows, n_cols) = rows_and_columns(shape);
    let n_cols = usize::try_from(n_cols).ok().filter(|n_cols| codec.fits(*n_cols))?;
    (n_cols / codec.block_len)
        .checked_mul(codec.block_bytes)
        .and_then(|n_bytes| n_rows.checked_mul(n_bytes as u64))
}

struct Decoded {
    bytes: Box<dyn InputBytes>,
    codec: &'static Codec,
}

impl Decoded {
    fn blocks(&self, first: u64, n_cols: usize, n_elements: usize) -> Result<Cow<'_, [u8]>, EvaluationError> {
        let start = first * self.codec.row_bytes(n_cols) as u64;
        let end = start + self.codec.row_bytes(n_elements) as u64;
        self.bytes
            .range(start..end)
            .ok_or_else(|| EvaluationError::misfit(format!("Bytes {start}..{end} are outside the tensor")))
    }
}

impl Rows for Decoded {
    fn rows(&self, first: u64, n_cols: usize, out: &mut [f32]) -> Result<(), EvaluationError> {
        self.codec.decode(&self.blocks(first, n_cols, out.len())?, out);
        Ok(())
    }

    fn stored_rows(
        &self,
        first: u64,
        n_rows: u64,
        n_cols: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), EvaluationError> {
        let n_elements = usize::try_from(n_rows).map_err(EvaluationError::misfit)? * n_cols;
        out.extend_from_slice(&self.blocks(first, n_cols, n_elements)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use mc_encoding::blocks::{q4_k, q8_0};

    use super::*;
    use crate::draw::Draw;
    use crate::evaluator::Evaluator;
    use crate::memory::{Memory, in_tiles};

    pub(super) fn draw(draw: &mut Draw, shape: &[u64]) -> Option<TensorExpr> {
        let codec = draw.one_of(&[&q8_0::CODEC, &q4_k::CODEC]);
        let n_cols = shape.last().map_or(1, |n_cols| *n_cols as usize);
        let n_elements = shape.iter().product::<u64>().min(1 << 12);
        if !draw.is_wild() && !codec.fits(n_cols) {
            return None;
        }
        let input = draw.input(|draw| {
            let values = draw.floats(n_elements);
            if draw.is_wild() || values.is_empty() {
                return Vec::new();
            }
            let mut blocks = vec![0; codec.row_bytes(values.len())];
            codec.encode(&values, n_cols, None, &mut blocks);
            blocks
        });
        Some(TensorExpr::new(Decode { input, codec, shape: shape.to_vec() }))
    }

    #[test]
    fn blocks_are_decoded_or_stay_as_they_are() {
        let values: Vec<f32> = (0_u8..128).map(|n| f32::from(n) - 64.0).collect();
        let mut blocks = vec![0; q8_0::CODEC.row_bytes(128)];
        q8_0::CODEC.encode(&values, 64, None, &mut blocks);
        let mut decoded = vec![0.0; 128];
        q8_0::CODEC.decode(&blocks, &mut decoded);
        let expression = TensorExpr::new(Decode { input: 0, codec: &q8_0::CODEC, shape: vec![2, 64] });
        assert_eq!(expression.to_string(), "decode($0, Q8_0, [2, 64])");
        assert_eq!(expression.stored_codec(), Some(&q8_0::CODEC));
        let inputs = Memory(vec![blocks.clone()]);
        assert_eq!(in_tiles(&expression, &inputs, 1).unwrap(), decoded);
        assert_eq!(in_tiles(&expression, &inputs, 2).unwrap(), decoded);
        let evaluator = Evaluator::new(&expression, &inputs).unwrap();
        assert_eq!(evaluator.stored_rows(1, 1).unwrap(), blocks[q8_0::CODEC.row_bytes(64)..]);
    }

    #[test]
    fn rows_are_whole_blocks() {
        for shape in [vec![2, 33], vec![3, 64], vec![u64::MAX, 32]] {
            let expression = TensorExpr::new(Decode { input: 0, codec: &q8_0::CODEC, shape });
            assert!(in_tiles(&expression, &Memory(vec![vec![0; 136]]), 1).is_err(), "{expression}");
        }
    }
}
