//! Inputs in memory, for tests.

use std::borrow::Cow;
use std::ops::Range;

use crate::error::{EvaluationError, InputError};
use crate::evaluator::Evaluator;
use crate::expression::TensorExpr;
use crate::inputs::{InputBytes, Inputs};

/// The bytes of each input.
pub(crate) struct Memory(pub(crate) Vec<Vec<u8>>);

struct Bytes(Vec<u8>);

impl Inputs for Memory {
    fn open(&self, input: usize) -> Result<Box<dyn InputBytes>, InputError> {
        let bytes = self.0.get(input).ok_or_else(|| format!("There is no input {input}"))?;
        Ok(Box::new(Bytes(bytes.clone())))
    }

    fn go_on(&self) -> Result<(), InputError> {
        Ok(())
    }
}

impl InputBytes for Bytes {
    fn n_bytes(&self) -> u64 {
        self.0.len() as u64
    }

    fn range(&self, range: Range<u64>) -> Option<Cow<'_, [u8]>> {
        let range = usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?;
        self.0.get(range).map(Cow::Borrowed)
    }
}

/// Floats as F32 elements.
pub(crate) fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// All rows, in tiles of this many.
pub(crate) fn in_tiles(
    expression: &TensorExpr,
    inputs: &Memory,
    n_rows: usize,
) -> Result<Vec<f32>, EvaluationError> {
    let evaluator = Evaluator::new(expression, inputs)?;
    let mut values = vec![f32::NAN; evaluator.n_elements()];
    for (number, tile) in values.chunks_mut((n_rows * evaluator.n_cols()).max(1)).enumerate() {
        evaluator.rows((number * n_rows) as u64, tile)?;
    }
    Ok(values)
}

/// All rows of an expression over F32 inputs; checks that evaluating all at once and row by row gives the same result.
pub(crate) fn all(expression: &TensorExpr, inputs: &[&[f32]]) -> Vec<f32> {
    let inputs = Memory(inputs.iter().map(|values| floats(values)).collect());
    let whole = in_tiles(expression, &inputs, usize::MAX >> 32).unwrap();
    for n_rows in 1..4 {
        assert_eq!(
            in_tiles(expression, &inputs, n_rows).unwrap(),
            whole,
            "{expression} in tiles of {n_rows}"
        );
    }
    whole
}

/// The error message of an expression over F32 inputs that cannot be evaluated.
pub(crate) fn misfit(expression: &TensorExpr, inputs: &[&[f32]]) -> String {
    let inputs = Memory(inputs.iter().map(|values| floats(values)).collect());
    in_tiles(expression, &inputs, 1).unwrap_err().to_string()
}
