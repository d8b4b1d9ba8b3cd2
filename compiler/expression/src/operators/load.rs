//! `load($0, BF16, [4, 8])`: the elements of an input.

use std::borrow::Cow;
use std::fmt;

use mc_encoding::codec::Codec;
use mc_encoding::codecs;
use mc_tensor::convert;
use mc_tensor::dtype::DType;

use crate::error::EvaluationError;
use crate::expression::{Operator, OperatorName, TensorExpr};
use crate::inputs::{InputBytes, Inputs};
use crate::parser::{OperatorRow, Parsed, Parser};
use crate::rows::{RowParts, Rows};
use crate::text::Numbers;

const NAME: OperatorName = OperatorName::new("load");

pub(crate) const ROW: OperatorRow = OperatorRow {
    name: NAME,
    parse,
    #[cfg(test)]
    draw: tests::draw,
};

/// The elements of an input.
#[derive(Clone)]
pub struct Load {
    /// Number of the input.
    pub input: usize,
    /// Type of its elements.
    pub dtype: DType,
    /// Row-major shape, slowest dimension first.
    pub shape: Vec<u64>,
}

fn parse(parser: &mut Parser<'_>) -> Parsed<TensorExpr> {
    let input = parser.input()?;
    let dtype = parser.then(Parser::dtype)?;
    Ok(TensorExpr::new(Load { input, dtype, shape: parser.then(Parser::shape)? }))
}

impl Operator for Load {
    fn name(&self) -> OperatorName {
        NAME
    }

    fn print(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "${}, {}, {}", self.input, self.dtype, Numbers(&self.shape))
    }

    fn shape(&self) -> Vec<u64> {
        self.shape.clone()
    }

    fn map_inputs(&self, renumber: &dyn Fn(usize) -> usize) -> TensorExpr {
        TensorExpr::new(Self { input: renumber(self.input), ..self.clone() })
    }

    fn element_type(&self) -> DType {
        self.dtype
    }

    fn stored_codec(&self) -> Option<&'static Codec> {
        codecs::by_name(self.dtype.name())
    }

    fn evaluate(&self, inputs: &dyn Inputs) -> Result<Box<dyn Rows>, EvaluationError> {
        let Self { input, dtype, shape } = self;
        if !dtype.is_weight() && !dtype.is_scaled_weight() {
            return Err(EvaluationError::misfit(format!("Elements of type {dtype} are not weights")));
        }
        let bytes = inputs.open(*input)?;
        let n_bytes = shape.iter().try_fold(dtype.n_bytes() as u64, |n_bytes, n| n_bytes.checked_mul(*n));
        if n_bytes != Some(bytes.n_bytes()) {
            return Err(EvaluationError::misfit(format!(
                "A tensor of shape {} and type {dtype} has {} bytes; found {}",
                Numbers(shape),
                n_bytes.unwrap_or(u64::MAX),
                bytes.n_bytes()
            )));
        }
        Ok(Box::new(Loaded { bytes, dtype: *dtype }))
    }
}

struct Loaded {
    bytes: Box<dyn InputBytes>,
    dtype: DType,
}

impl Loaded {
    fn elements(&self, first: u64, n_elements: usize) -> Result<Cow<'_, [u8]>, EvaluationError> {
        let size = self.dtype.n_bytes() as u64;
        let (start, end) = (first * size, (first + n_elements as u64) * size);
        self.bytes
            .range(start..end)
            .ok_or_else(|| EvaluationError::misfit(format!("Bytes {start}..{end} are outside the tensor")))
    }
}

impl Rows for Loaded {
    fn rows(&self, first: u64, n_cols: usize, out: &mut [f32]) -> Result<(), EvaluationError> {
        convert::to_f32(self.dtype, &self.elements(first * n_cols as u64, out.len())?, out);
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
        out.extend_from_slice(&self.elements(first * n_cols as u64, n_elements)?);
        Ok(())
    }

    fn as_stretches(&self) -> Option<&dyn RowParts> {
        Some(self)
    }
}

impl RowParts for Loaded {
    fn stretch(
        &self,
        row: u64,
        first_col: usize,
        n_cols: usize,
        out: &mut [f32],
    ) -> Result<(), EvaluationError> {
        let first = row * n_cols as u64 + first_col as u64;
        convert::to_f32(self.dtype, &self.elements(first, out.len())?, out);
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::draw::Draw;
    use crate::evaluator::Evaluator;
    use crate::memory::{Memory, all, floats, misfit};

    pub(crate) fn draw(draw: &mut Draw, shape: &[u64]) -> Option<TensorExpr> {
        let dtypes = [DType::F32, DType::BF16, DType::F16, DType::F64, DType::F8E4M3, DType::Bool];
        let dtype = draw.one_of(&dtypes[..if draw.is_wild() { 6 } else { 4 }]);
        let n_elements = shape.iter().product::<u64>().min(1 << 12);
        let input = draw.input(|draw| {
            let mut bytes = vec![0; n_elements as usize * dtype.n_bytes()];
            if dtype.is_weight() {
                convert::from_f32(dtype, &draw.floats(n_elements), &mut bytes);
            }
            bytes
        });
        Some(TensorExpr::new(Load { input, dtype, shape: shape.to_vec() }))
    }

    fn load(dtype: DType, shape: &[u64]) -> TensorExpr {
        TensorExpr::new(Load { input: 0, dtype, shape: shape.to_vec() })
    }

    #[test]
    fn elements_are_widened_and_stored_bytes_stay() {
        let expression = load(DType::F32, &[2, 2]);
        assert_eq!(all(&expression, &[&[1.0, 2.0, 3.0, 4.0]]), [1.0, 2.0, 3.0, 4.0]);
        let inputs = Memory(vec![floats(&[1.0, 2.0, 3.0, 4.0])]);
        let evaluator = Evaluator::new(&expression, &inputs).unwrap();
        assert_eq!(evaluator.stored_rows(1, 1).unwrap(), floats(&[3.0, 4.0]));
        assert!(evaluator.stored_rows(1, 2).is_err());
        assert_eq!(expression.stored_codec().unwrap().name, "F32");
        assert_eq!(load(DType::BF16, &[4, 8]).element_type(), DType::BF16);
        assert_eq!(load(DType::BF16, &[4, 8]).to_string(), "load($0, BF16, [4, 8])");
        assert!(load(DType::BF16, &[4]).map_inputs(&|input| input + 7).to_string().starts_with("load($7"));
    }

    #[test]
    fn the_size_of_an_input_matches_its_shape() {
        assert_eq!(
            misfit(&load(DType::F32, &[2, 3]), &[&[1.0; 5]]),
            "A tensor of shape [2, 3] and type F32 has 24 bytes; found 20"
        );
        assert_eq!(misfit(&load(DType::I8, &[4]), &[&[1.0]]), "Elements of type I8 are not weights");
        assert_eq!(misfit(&load(DType::F32, &[1]), &[]), "There is no input 0");
    }
}
