//! `rotate(OF, BY, right)`: the product of a tensor with a square matrix on its right, `W * R`, or left, `R * W`.
//!
//! Every element is a sum of products in f32 over ascending columns of the left factor, multiply then add, never fused. So
//! equal inputs give equal bytes on every machine and for all tiles.
//!
//! The right factor of the product is computed completely first and held in f32: the rotation, or the tensor itself if
//! the rotation is on its left.
//!
//! A vector is one row: `rotate(BIAS, transpose(R), right)` is the bias of `rotate(W, R, left)`.

use std::fmt;

use mc_tensor::low_rank::add_low_rank;

use crate::error::EvaluationError;
use crate::evaluator::Evaluator;
use crate::expression::{Operator, OperatorName, TensorExpr};
use crate::inputs::Inputs;
use crate::parser::{OperatorRow, Parsed, Parser};
use crate::rows::Rows;
use crate::text::Numbers;

const NAME: OperatorName = OperatorName::new("rotate");

pub(crate) const ROW: OperatorRow = OperatorRow {
    name: NAME,
    parse,
    #[cfg(test)]
    draw: tests::draw,
};

/// The product of a tensor with a square matrix.
#[derive(Clone)]
pub struct Rotate {
    /// The tensor `[.., rows, columns]`; for a product on its left, a matrix.
    pub of: TensorExpr,
    /// The square matrix, with the tensor's number of columns (right) or rows (left).
    pub by: TensorExpr,
    /// The side of the tensor with the square matrix.
    pub side: Side,
}

/// The side of the tensor with the square matrix in a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// `R * W`: rows are mixed.
    Left,
    /// `W * R`: columns are mixed.
    Right,
}

impl Side {
    fn word(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Right => "right",
        }
    }
}

fn parse(parser: &mut Parser<'_>) -> Parsed<TensorExpr> {
    let of = parser.expression()?;
    let by = parser.then(Parser::expression)?;
    let sides = [Side::Left, Side::Right].map(|side| (side.word(), side));
    let side = parser.then(|parser| parser.one_of(&sides, "`left` or `right`"))?;
    Ok(TensorExpr::new(Rotate { of, by, side }))
}

impl Operator for Rotate {
    fn name(&self) -> OperatorName {
        NAME
    }

    fn print(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}, {}, {}", self.of, self.by, self.side.word())
    }

    fn shape(&self) -> Vec<u64> {
        self.of.shape()
    }

    fn map_inputs(&self, renumber: &dyn Fn(usize) -> usize) -> TensorExpr {
        let (of, by) = (self.of.map_inputs(renumber), self.by.map_inputs(renumber));
        TensorExpr::new(Self { of, by, side: self.side })
    }

    fn evaluate(&self, inputs: &dyn Inputs) -> Result<Box<dyn Rows>, EvaluationError> {
        self.check_shapes()?;
        let (left, right) = match self.side {
            Side::Left => (&self.by, &self.of),
            Side::Right => (&self.of, &self.by),
        };
        let left = Evaluator::new(left, inputs)?;
        let right = Evaluator::new(right, inputs)?.all(inputs)?;
        Ok(Box::new(Product { left, right }))
    }
}

impl Rotate {
    fn check_shapes(&self) -> Result<(), EvaluationError> {
        let (shape, by) = (self.of.shape(), self.by.shape());
        let mixed = match (self.side, shape.as_slice()) {
            (Side::Left, [n_rows, _]) => Some(*n_rows),
            (Side::Right, [.., n_cols]) => Some(*n_cols),
            _ => None,
        };
        if mixed.is_some_and(|n| by == [n, n]) {
            return Ok(());
        }
        Err(EvaluationError::misfit(format!(
            "A tensor of shape {} cannot be multiplied by a matrix of shape {} on its {}",
            Numbers(&shape),
            Numbers(&by),
            self.side.word()
        )))
    }
}

/// The product of two matrices.
struct Product {
    left: Evaluator,
    /// All rows, with as many columns as the product.
    right: Vec<f32>,
}

impl Rows for Product {
    fn rows(&self, first: u64, n_cols: usize, out: &mut [f32]) -> Result<(), EvaluationError> {
        let n_inner = self.left.n_cols();
        let mut left = vec![0.0; out.len() / n_cols * n_inner];
        self.left.rows(first, &mut left)?;
        out.fill(0.0);
        // A product is a low-rank update of zero: the same sums in the same order, with the same vector code.
        add_low_rank(out, &left, &self.right, n_cols, n_inner, 1.0).map_err(EvaluationError::misfit)
    }
}

#[cfg(test)]
mod tests {
    use mc_tensor::dtype::DType;

    use super::*;
    use crate::draw::Draw;
    use crate::memory::{all, misfit};
    use crate::operators::load::Load;

    pub(super) fn draw(draw: &mut Draw, shape: &[u64]) -> Option<TensorExpr> {
        let side = match shape {
            [_, _] => draw.one_of(&[Side::Left, Side::Right]),
            _ => Side::Right,
        };
        let n = match side {
            Side::Left => shape.first(),
            Side::Right => shape.last(),
        };
        let n = *n.filter(|n| **n < 64 || draw.is_wild())?;
        Some(TensorExpr::new(Rotate { of: draw.expression(shape), by: draw.expression(&[n, n]), side }))
    }

    fn load(input: usize, shape: &[u64]) -> TensorExpr {
        TensorExpr::new(Load { input, dtype: DType::F32, shape: shape.to_vec() })
    }

    fn rotate(shape: &[u64], by: &[u64], side: Side) -> TensorExpr {
        TensorExpr::new(Rotate { of: load(0, shape), by: load(1, by), side })
    }

    fn numbers(n: usize, seed: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 7919 + seed * 104_729) % 1009) as f32 / 137.0 - 3.1).collect()
    }

    /// `[n_rows, n_inner]` times `[n_inner, n_cols]`, by the formula.
    fn product(left: &[f32], right: &[f32], n_inner: usize, n_cols: usize) -> Vec<f32> {
        let element = |row: usize, col: usize| {
            let mut sum = 0.0_f32;
            for k in 0..n_inner {
                sum += left[row * n_inner + k] * right[k * n_cols + col];
            }
            sum
        };
        let n_rows = left.len() / n_inner;
        (0..n_rows).flat_map(|row| (0..n_cols).map(move |col| element(row, col))).collect()
    }

    #[test]
    fn both_products_follow_the_formula_to_the_bit() {
        let (n_rows, n_cols) = (5, 133);
        let weight = numbers(n_rows * n_cols, 1);
        let shape = [n_rows as u64, n_cols as u64];
        let by = numbers(n_cols * n_cols, 2);
        let right = rotate(&shape, &[133, 133], Side::Right);
        assert_eq!(right.to_string(), "rotate(load($0, F32, [5, 133]), load($1, F32, [133, 133]), right)");
        assert_eq!(right.shape(), shape);
        assert_eq!(all(&right, &[&weight, &by]), product(&weight, &by, n_cols, n_cols));
        let by = numbers(n_rows * n_rows, 3);
        let left = rotate(&shape, &[5, 5], Side::Left).map_inputs(&|input| input);
        assert_eq!(left.to_string(), "rotate(load($0, F32, [5, 133]), load($1, F32, [5, 5]), left)");
        assert_eq!(all(&left, &[&weight, &by]), product(&by, &weight, n_rows, n_cols));
    }

    #[test]
    fn vectors_and_stacks_are_multiplied_on_the_right_only() {
        let by = [0.0, 1.0, 2.0, 0.0];
        assert_eq!(all(&rotate(&[2], &[2, 2], Side::Right), &[&[3.0, 4.0], &by]), [8.0, 3.0]);
        let stack = rotate(&[2, 1, 2], &[2, 2], Side::Right);
        assert_eq!(all(&stack, &[&[3.0, 4.0, 5.0, 6.0], &by]), [8.0, 3.0, 12.0, 5.0]);
        assert_eq!(
            misfit(&rotate(&[2], &[2, 2], Side::Left), &[&[3.0, 4.0], &by]),
            "A tensor of shape [2] cannot be multiplied by a matrix of shape [2, 2] on its left"
        );
        assert!(misfit(&rotate(&[1, 2], &[2, 2], Side::Left), &[&[3.0, 4.0], &by]).ends_with("on its left"));
        assert!(misfit(&rotate(&[2], &[4, 1], Side::Right), &[&[3.0, 4.0], &by]).ends_with("on its right"));
    }
}
