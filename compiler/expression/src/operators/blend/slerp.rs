//! `slerp@1(3fe0000000000000, TERM, TERM)`: a point on the arc between two weights.
//!
//! The angle is between the whole weights: before any row is computed, a pass sums both in f64, row after row.
//!
//! Source: Shoemake 1985, "Animating rotation with quaternion curves".

use std::fmt;

use mc_tensor::blend::Products;
use rayon::prelude::*;

use crate::error::EvaluationError;
use crate::evaluator::{Evaluator, TILE_ELEMENTS, Tile};
use crate::expression::{Operator, OperatorName, TensorExpr};
use crate::inputs::Inputs;
use crate::operators::blend::term::{self, Term, Terms};
use crate::parser::{OperatorRow, Parsed, Parser};
use crate::rows::Rows;

const NAME: OperatorName = OperatorName::versioned("slerp", 1);

pub(crate) const ROW: OperatorRow = OperatorRow {
    name: NAME,
    parse,
    #[cfg(test)]
    draw: tests::draw,
};

/// The point at fraction `t` of the path from the first of two terms to the second, along the sphere; the factors of
/// the terms are ignored.
#[derive(Clone)]
pub struct Slerp {
    /// The fraction of the path.
    pub t: f64,
    /// The two weights.
    pub terms: Vec<Term>,
}

fn parse(parser: &mut Parser<'_>) -> Parsed<TensorExpr> {
    let t = f64::from_bits(parser.hex(16, "16 hex digits of a number's bits")?);
    Ok(TensorExpr::new(Slerp { t, terms: term::parse(parser)? }))
}

impl Operator for Slerp {
    fn name(&self) -> OperatorName {
        NAME
    }

    fn print(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.t.to_bits())?;
        term::print(&self.terms, formatter)
    }

    fn shape(&self) -> Vec<u64> {
        term::shape(&self.terms)
    }

    fn map_inputs(&self, renumber: &dyn Fn(usize) -> usize) -> TensorExpr {
        TensorExpr::new(Self { t: self.t, terms: term::map_inputs(&self.terms, renumber) })
    }

    fn evaluate(&self, inputs: &dyn Inputs) -> Result<Box<dyn Rows>, EvaluationError> {
        Ok(Box::new(self.in_tiles(inputs, TILE_ELEMENTS)?))
    }
}

impl Slerp {
    fn in_tiles(&self, inputs: &dyn Inputs, n_elements: usize) -> Result<Point, EvaluationError> {
        let terms = Terms::new(&self.terms, &self.shape(), inputs)?;
        let [from, to] = terms.of.as_slice() else {
            return Err(EvaluationError::misfit("Spherical interpolation needs exactly two weights"));
        };
        let factors = products(from, to, inputs, n_elements)?.slerp(self.t);
        Ok(Point { terms, factors })
    }
}

/// The products of two weights, summed row after row.
fn products(
    from: &Evaluator,
    to: &Evaluator,
    inputs: &dyn Inputs,
    n_elements: usize,
) -> Result<Products, EvaluationError> {
    let of_tile = |tile: &Tile| {
        inputs.go_on()?;
        let mut a = vec![0.0; tile.n_rows * from.n_cols()];
        let mut b = a.clone();
        from.rows(tile.first, &mut a)?;
        to.rows(tile.first, &mut b)?;
        let n_cols = from.n_cols();
        Ok(a.chunks(n_cols).zip(b.chunks(n_cols)).map(|(a, b)| Products::of_row(a, b)).collect::<Vec<_>>())
    };
    let tiles = from.tiles(n_elements);
    let rows: Vec<Vec<Products>> = tiles.par_iter().map(of_tile).collect::<Result<_, EvaluationError>>()?;
    Ok(rows.into_iter().flatten().fold(Products::default(), Products::plus))
}

struct Point {
    terms: Terms,
    factors: [f32; 2],
}

impl Rows for Point {
    fn rows(&self, first: u64, _n_cols: usize, out: &mut [f32]) -> Result<(), EvaluationError> {
        self.terms.sum(&self.factors, first, out)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the plain f64 formulas are the expected values")]
mod tests {
    use mc_tensor::dtype::DType;

    use super::*;
    use crate::draw::Draw;
    use crate::memory::{Memory, all, floats, misfit};
    use crate::operators::blend::term::Keep;
    use crate::operators::load::Load;

    const SHAPE: [usize; 2] = [37, 24];

    pub(super) fn draw(draw: &mut Draw, shape: &[u64]) -> Option<TensorExpr> {
        let n_terms = if draw.is_wild() { draw.below(3) } else { 2 };
        let t = if draw.is_wild() { f64::from_bits(draw.any()) } else { draw.below(5) as f64 / 4.0 };
        Some(TensorExpr::new(Slerp { t, terms: term::tests::draw(draw, n_terms, shape) }))
    }

    fn slerp(t: f64, inputs: &[usize]) -> Slerp {
        let load = |input| Load { input, dtype: DType::F32, shape: SHAPE.map(|n| n as u64).to_vec() };
        let term = |input: &usize| Term { of: TensorExpr::new(load(*input)), weight: 1.0, keep: Keep::All };
        Slerp { t, terms: inputs.iter().map(term).collect() }
    }

    fn weights() -> [Vec<f32>; 2] {
        let number = |i: usize| (i.wrapping_mul(2_654_435_761) % 2001) as f32 / 1000.0 - 1.0;
        let weight: Vec<f32> = (0..SHAPE[0] * SHAPE[1]).map(number).collect();
        [weight.clone(), weight.into_iter().rev().collect()]
    }

    #[test]
    fn slerp_is_a_point_on_the_arc() {
        let weights = weights();
        let [a, b] =
            weights.each_ref().map(|values| values.iter().map(|v| f64::from(*v)).collect::<Vec<_>>());
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let angle = (dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()).acos();
        for t in [0.0, 0.3, 1.0] {
            let (of_a, of_b) = (((1.0 - t) * angle).sin() / angle.sin(), (t * angle).sin() / angle.sin());
            let found = all(&TensorExpr::new(slerp(t, &[0, 1])), &[&weights[0], &weights[1]]);
            for ((a, b), found) in a.iter().zip(&b).zip(found) {
                let expected = of_a * a + of_b * b;
                assert!((f64::from(found) - expected).abs() < 2e-6 * expected.abs().max(1.0));
            }
        }
    }

    #[test]
    fn the_angle_depends_neither_on_tiles_nor_on_threads() {
        let inputs = Memory(weights().iter().map(|values| floats(values)).collect());
        let slerp = slerp(0.3, &[0, 1]);
        let whole = slerp.in_tiles(&inputs, TILE_ELEMENTS).unwrap().factors;
        for n_elements in [1, 2 * SHAPE[1], 7 * SHAPE[1] + 1] {
            assert_eq!(slerp.in_tiles(&inputs, n_elements).unwrap().factors, whole);
        }
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(one.install(|| slerp.in_tiles(&inputs, 100).unwrap().factors), whole);
    }

    #[test]
    fn slerp_of_equal_weights_is_the_weight() {
        let [weight, _] = weights();
        // A quarter and three quarters of a number are exact.
        assert_eq!(all(&TensorExpr::new(slerp(0.25, &[0, 0])), &[&weight]), weight);
    }

    #[test]
    fn there_are_two_weights() {
        let [weight, _] = weights();
        let message = misfit(&TensorExpr::new(slerp(0.25, &[0, 0, 0])), &[&weight]);
        assert_eq!(message, "Spherical interpolation needs exactly two weights");
        let text = TensorExpr::new(slerp(0.5, &[0])).map_inputs(&|input| input + 5).to_string();
        assert_eq!(text, "slerp@1(3fe0000000000000, [3f800000, all, load($5, F32, [37, 24])])");
    }
}
