//! `add_low_rank(OF, UP, DOWN, 40000000)`: adds the product of an adapter's two small matrices to a weight.
//!
//! `of + scale * up * down`: the product is summed over rank in ascending order in f32, then scaled, then added.

use std::fmt;

use mc_tensor::low_rank;

use crate::error::EvaluationError;
use crate::evaluator::Evaluator;
use crate::expression::{Operator, OperatorName, TensorExpr};
use crate::inputs::Inputs;
use crate::parser::{OperatorRow, Parsed, Parser};
use crate::rows::Rows;
use crate::text::Float;

const NAME: OperatorName = OperatorName::new("add_low_rank");

pub(crate) const ROW: OperatorRow = OperatorRow {
    name: NAME,
    parse,
    #[cfg(test)]
    draw: tests::draw,
};

/// Adds a low-rank product to a weight: `of + scale * up * down`.
#[derive(Clone)]
pub struct AddLowRank {
    /// The weight `[out, in]`.
    pub of: TensorExpr,
    /// `B`, `[out, rank]`.
    pub up: TensorExpr,
    /// `A`, `[rank, in]`.
    pub down: TensorExpr,
    /// Factor of the product.
    pub scale: f32,
}

fn parse(parser: &mut Parser<'_>) -> Parsed<TensorExpr> {
    let of = parser.expression()?;
    let up = parser.then(Parser::expression)?;
    let down = parser.then(Parser::expression)?;
    Ok(TensorExpr::new(AddLowRank { of, up, down, scale: parser.then(Parser::float)? }))
}

impl Operator for AddLowRank {
    fn name(&self) -> OperatorName {
        NAME
    }

    fn print(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, up, down, scale } = self;
        write!(formatter, "{of}, {up}, {down}, {}", Float(*scale))
    }

    fn shape(&self) -> Vec<u64> {
        self.of.shape()
    }

    fn map_inputs(&self, renumber: &dyn Fn(usize) -> usize) -> TensorExpr {
        TensorExpr::new(Self {
            of: self.of.map_inputs(renumber),
            up: self.up.map_inputs(renumber),
            down: self.down.map_inputs(renumber),
            scale: self.scale,
        })
    }

    fn evaluate(&self, inputs: &dyn Inputs) -> Result<Box<dyn Rows>, EvaluationError> {
        let of = Evaluator::new(&self.of, inputs)?;
        let up = Evaluator::new(&self.up, inputs)?;
        let down = Evaluator::new(&self.down, inputs)?.all(inputs)?;
        Ok(Box::new(Sum { of, up, down, scale: self.scale }))
    }
}

struct Sum {
    of: Evaluator,
    up: Evaluator,
    down: Vec<f32>,
    scale: f32,
}

impl Rows for Sum {
    fn rows(&self, first: u64, n_cols: usize, out: &mut [f32]) -> Result<(), EvaluationError> {
        self.of.rows(first, out)?;
        let rank = self.up.n_cols();
        let mut up = vec![0.0; out.len() / n_cols * rank];
        self.up.rows(first, &mut up)?;
        low_rank::add_low_rank(out, &up, &self.down, n_cols, rank, self.scale)
            .map_err(EvaluationError::misfit)
    }
}

#[cfg(test)]
mod tests {
    use mc_tensor::dtype::DType;

    use super::*;
    use crate::draw::Draw;
    use crate::memory::{all, misfit};
    use crate::operators::literal::Literal;
    use crate::operators::load::Load;

    pub(super) fn draw(draw: &mut Draw, shape: &[u64]) -> Option<TensorExpr> {
        let [leading @ .., n_cols] = shape else { return None };
        let rank = 1 + draw.below(3);
        Some(TensorExpr::new(AddLowRank {
            of: draw.expression(shape),
            up: draw.expression(&[leading.iter().product(), rank]),
            down: draw.expression(&[rank, *n_cols]),
            scale: draw.float(),
        }))
    }

    fn load(input: usize, shape: &[u64]) -> TensorExpr {
        TensorExpr::new(Load { input, dtype: DType::F32, shape: shape.to_vec() })
    }

    #[test]
    fn a_product_is_added() {
        let sum = |rank| AddLowRank {
            of: load(0, &[2, 2]),
            up: load(1, &[2, rank]),
            down: load(2, &[rank, 2]),
            scale: 0.5,
        };
        let expression = TensorExpr::new(sum(1));
        assert_eq!(
            expression.map_inputs(&|input| input + 5).to_string(),
            "add_low_rank(load($5, F32, [2, 2]), load($6, F32, [2, 1]), load($7, F32, [1, 2]), 3f000000)"
        );
        let of = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(all(&expression, &[&of, &[1.0, 2.0], &[10.0, 20.0]]), [6.0, 12.0, 13.0, 24.0]);
        let message = misfit(&TensorExpr::new(sum(0)), &[&of, &[], &[]]);
        assert!(message.starts_with("A low-rank update needs"), "{message}");
    }

    #[test]
    fn a_vector_is_one_row_of_a_product_of_rank_one() {
        let up = TensorExpr::new(Literal { values: vec![1.0] });
        let sum = AddLowRank { of: load(0, &[2]), up, down: load(1, &[2]), scale: 2.0 };
        assert_eq!(all(&TensorExpr::new(sum), &[&[1.0, 2.0], &[10.0, 20.0]]), [21.0, 42.0]);
    }
}
