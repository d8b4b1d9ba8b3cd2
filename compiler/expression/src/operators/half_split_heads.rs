//! `half_split(8, OF)`: rows reordered head by head from the interleaved rotary order to Hugging Face's half-split one.
//!
//! For a vector, such as a bias, the elements are reordered.

use std::fmt;

use mc_tensor::dtype::DType;

use crate::error::EvaluationError;
use crate::expression::{Operator, OperatorName, TensorExpr};
use crate::inputs::Inputs;
use crate::parser::{OperatorRow, Parsed, Parser};
use crate::reordered::{interleaved_row, reordered};
use crate::rows::Rows;

const NAME: OperatorName = OperatorName::new("half_split");

pub(crate) const ROW: OperatorRow = OperatorRow {
    name: NAME,
    parse,
    #[cfg(test)]
    draw: tests::draw,
};

/// Rows reordered head by head from the interleaved rotary order to Hugging Face's half-split one.
#[derive(Clone)]
pub struct HalfSplitHeads {
    /// Number of heads that the rows belong to.
    pub n_heads: u64,
    /// The operand; for a vector, the elements are reordered.
    pub of: TensorExpr,
}

fn parse(parser: &mut Parser<'_>) -> Parsed<TensorExpr> {
    Ok(TensorExpr::new(HalfSplitHeads { n_heads: parser.positive()?, of: parser.then(Parser::expression)? }))
}

impl Operator for HalfSplitHeads {
    fn name(&self) -> OperatorName {
        NAME
    }

    fn print(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}, {}", self.n_heads, self.of)
    }

    fn shape(&self) -> Vec<u64> {
        self.of.shape()
    }

    fn map_inputs(&self, renumber: &dyn Fn(usize) -> usize) -> TensorExpr {
        TensorExpr::new(Self { n_heads: self.n_heads, of: self.of.map_inputs(renumber) })
    }

    fn element_type(&self) -> DType {
        self.of.element_type()
    }

    fn evaluate(&self, inputs: &dyn Inputs) -> Result<Box<dyn Rows>, EvaluationError> {
        reordered(&self.of, self.n_heads, interleaved_row, inputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;
    use crate::memory::{all, misfit};
    use crate::operators::load::Load;

    pub(super) fn draw(draw: &mut Draw, shape: &[u64]) -> Option<TensorExpr> {
        let n_reordered = match shape {
            [n] => *n,
            [leading @ .., _] => leading.iter().product(),
            [] => 1,
        };
        let n_heads = 1 + draw.below(3);
        let is_fitting = n_reordered.is_multiple_of(2 * n_heads);
        (is_fitting || draw.is_wild()).then(|| {
            let n_heads = draw.number(n_heads).max(1);
            TensorExpr::new(HalfSplitHeads { n_heads, of: draw.expression(shape) })
        })
    }

    #[test]
    fn rows_of_a_matrix_and_elements_of_a_vector_are_reordered() {
        let inputs = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
        let reordered = |n_heads, shape: &[u64]| {
            let of = TensorExpr::new(Load { input: 0, dtype: DType::F32, shape: shape.to_vec() });
            TensorExpr::new(HalfSplitHeads { n_heads, of })
        };
        let expression = reordered(2, &[8, 1]);
        assert_eq!(expression.to_string(), "half_split(2, load($0, F32, [8, 1]))");
        assert_eq!(expression.element_type(), DType::F32);
        let expected = [0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0];
        assert_eq!(all(&expression, &[&inputs]), expected);
        assert_eq!(all(&reordered(2, &[8]), &[&inputs]), expected);
        assert_eq!(
            misfit(&reordered(3, &[8, 1]), &[&inputs]),
            "8 rows are not 3 heads with whole pairs of rows"
        );
        assert!(misfit(&reordered(8, &[8]), &[&inputs]).starts_with("8 rows are not 8 heads"));
    }
}
