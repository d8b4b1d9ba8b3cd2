//! `concat(0, A, B)`: tensors one after another along one dimension, counted from 0 for the slowest.
//!
//! Along the last dimension, columns are adjacent; along any other, rows follow each other.

use std::fmt;

use mc_tensor::dtype::DType;

use crate::error::EvaluationError;
use crate::evaluator::Evaluator;
use crate::expression::{Operator, OperatorName, TensorExpr};
use crate::inputs::Inputs;
use crate::joined::Joined;
use crate::parser::{OperatorRow, Parsed, Parser};
use crate::rows::{Rows, rows_and_columns};
use crate::text::{List, Numbers};

const NAME: OperatorName = OperatorName::new("concat");

pub(crate) const ROW: OperatorRow = OperatorRow {
    name: NAME,
    parse,
    #[cfg(test)]
    draw: tests::draw,
};

/// Tensors one after another along one dimension.
#[derive(Clone)]
pub struct Concat {
    /// Index of the dimension, from 0 for the slowest.
    pub dimension: usize,
    /// The tensors: at least one, with equal shapes except for that dimension.
    pub of: Vec<TensorExpr>,
}

fn parse(parser: &mut Parser<'_>) -> Parsed<TensorExpr> {
    let dimension = parser.small_number()? as usize;
    Ok(TensorExpr::new(Concat { dimension, of: parser.then(Parser::expressions)? }))
}

impl Operator for Concat {
    fn name(&self) -> OperatorName {
        NAME
    }

    fn print(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}, {}", self.dimension, List(&self.of))
    }

    fn shape(&self) -> Vec<u64> {
        let mut shapes = self.of.iter().map(TensorExpr::shape);
        let mut shape = shapes.next().unwrap_or_default();
        if let Some(n) = shape.get_mut(self.dimension) {
            let more = shapes.map(|shape| shape.get(self.dimension).copied().unwrap_or(0));
            *n = more.fold(*n, u64::saturating_add);
        }
        shape
    }

    fn map_inputs(&self, renumber: &dyn Fn(usize) -> usize) -> TensorExpr {
        let of = self.of.iter().map(|part| part.map_inputs(renumber)).collect();
        TensorExpr::new(Self { dimension: self.dimension, of })
    }

    fn element_type(&self) -> DType {
        let mut types = self.of.iter().map(TensorExpr::element_type);
        let first = types.next().unwrap_or(DType::F32);
        // F32 holds the elements of all of them.
        if types.all(|other| other == first) { first } else { DType::F32 }
    }

    fn evaluate(&self, inputs: &dyn Inputs) -> Result<Box<dyn Rows>, EvaluationError> {
        let shape = self.shape();
        let other = self.of.iter().map(TensorExpr::shape).find(|part| !self.fits(&shape, part));
        if let Some(part) = other {
            return Err(EvaluationError::misfit(format!(
                "A tensor of shape {} cannot be part of one of shape {} along dimension {}",
                Numbers(&part),
                Numbers(&shape),
                self.dimension
            )));
        }
        let parts = self.of.iter().map(|part| Evaluator::new(part, inputs)).collect::<Result<_, _>>()?;
        if self.dimension + 1 == shape.len() {
            return Ok(Box::new(SideBySide { parts }));
        }
        let (n_turns, _) = rows_and_columns(&[&shape[..self.dimension], &[1]].concat());
        Ok(Box::new(Joined::new(parts, n_turns)))
    }
}

impl Concat {
    fn fits(&self, shape: &[u64], part: &[u64]) -> bool {
        let is_same =
            |(number, (n, of_part)): (usize, (&u64, &u64))| number == self.dimension || n == of_part;
        self.dimension < shape.len()
            && shape.len() == part.len()
            && shape.iter().zip(part).enumerate().all(is_same)
    }
}

/// Tensors with equal rows, whose columns are adjacent.
struct SideBySide {
    parts: Vec<Evaluator>,
}

impl Rows for SideBySide {
    fn rows(&self, first: u64, n_cols: usize, out: &mut [f32]) -> Result<(), EvaluationError> {
        let mut start = 0;
        for part in self.parts.iter().filter(|part| part.n_cols() > 0) {
            let mut values = vec![0.0; out.len() / n_cols * part.n_cols()];
            part.rows(first, &mut values)?;
            let of_part = values.chunks_exact(part.n_cols());
            for (row, values) in out.chunks_exact_mut(n_cols).zip(of_part) {
                row[start..start + values.len()].copy_from_slice(values);
            }
            start += part.n_cols();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;
    use crate::memory::{all, misfit};
    use crate::operators::load::Load;
    use crate::operators::transpose::Transpose;

    pub(super) fn draw(draw: &mut Draw, shape: &[u64]) -> Option<TensorExpr> {
        let dimension = draw.below(shape.len() as u64) as usize;
        let mut n_left = *shape.get(dimension)?;
        let mut of = Vec::new();
        while of.is_empty() || n_left > 0 {
            let mut part = shape.to_vec();
            part[dimension] = if of.len() == 2 { n_left } else { (1 + draw.below(n_left)).min(n_left) };
            n_left -= part[dimension];
            of.push(draw.expression(&part));
        }
        let dimension = if draw.is_wild() { draw.below(4) as usize } else { dimension };
        Some(TensorExpr::new(Concat { dimension, of }))
    }

    fn concat(dimension: usize, shapes: &[&[u64]]) -> TensorExpr {
        let load =
            |(input, shape): (usize, &&[u64])| Load { input, dtype: DType::F32, shape: shape.to_vec() };
        let of = shapes.iter().enumerate().map(load).map(TensorExpr::new).collect();
        TensorExpr::new(Concat { dimension, of })
    }

    const A: [f32; 4] = [1.0, 2.0, 3.0, 4.0];
    const B: [f32; 2] = [10.0, 20.0];

    #[test]
    fn rows_follow_each_other() {
        let rows = concat(0, &[&[2, 2], &[1, 2]]);
        assert_eq!(rows.to_string(), "concat(0, load($0, F32, [2, 2]), load($1, F32, [1, 2]))");
        assert_eq!(rows.shape(), [3, 2]);
        assert_eq!(all(&rows, &[&A, &B]), [1.0, 2.0, 3.0, 4.0, 10.0, 20.0]);
        let turned = TensorExpr::new(Transpose { of: rows });
        assert_eq!(all(&turned, &[&A, &B]), [1.0, 3.0, 10.0, 2.0, 4.0, 20.0]);
        let in_turns = concat(1, &[&[2, 2, 1], &[2, 1, 1]]);
        assert_eq!(in_turns.shape(), [2, 3, 1]);
        assert_eq!(all(&in_turns, &[&A, &B]), [1.0, 2.0, 10.0, 3.0, 4.0, 20.0]);
    }

    #[test]
    fn columns_stand_side_by_side() {
        let columns = concat(1, &[&[2, 2], &[2, 1]]);
        assert_eq!(columns.shape(), [2, 3]);
        assert_eq!(all(&columns, &[&A, &B]), [1.0, 2.0, 10.0, 3.0, 4.0, 20.0]);
        assert_eq!(all(&concat(0, &[&[4], &[2]]), &[&A, &B]), [1.0, 2.0, 3.0, 4.0, 10.0, 20.0]);
    }

    #[test]
    fn parts_have_the_same_other_dimensions() {
        assert_eq!(
            misfit(&concat(1, &[&[2, 2], &[1, 2]]), &[&A, &B]),
            "A tensor of shape [1, 2] cannot be part of one of shape [2, 4] along dimension 1"
        );
        assert!(misfit(&concat(2, &[&[2, 2], &[1, 2]]), &[&A, &B]).contains("along dimension 2"));
    }
}
