//! `deltas@1(true, true, 3f800000, BASE, TERM, …)`: adds the differences of several models from a base to that base.
//!
//! Task arithmetic, TIES and DARE: each difference keeps some of its elements and, with `elect`, only those with the
//! elected sign. The order of operations is that of `mc_tensor::blend`.

use std::fmt;

use mc_tensor::blend::{Divide, add_elected, add_to_base, add_weighted, divide, divisor, subtract};

use crate::error::EvaluationError;
use crate::evaluator::{Evaluator, TILE_ELEMENTS};
use crate::expression::{Operator, OperatorName, TensorExpr};
use crate::inputs::Inputs;
use crate::operators::blend::difference::{Difference, Kept};
use crate::operators::blend::term::{self, Term, Terms};
use crate::parser::{OperatorRow, Parsed, Parser};
use crate::rows::Rows;
use crate::text::Float;

const NAME: OperatorName = OperatorName::versioned("deltas", 1);

pub(crate) const ROW: OperatorRow = OperatorRow {
    name: NAME,
    parse,
    #[cfg(test)]
    draw: tests::draw,
};

/// `base + lambda * sum of weight * (term - base)`, where each difference has only the elements that its `keep`
/// selects.
#[derive(Clone)]
pub struct Deltas {
    /// The model that the others were fine-tuned from.
    pub base: TensorExpr,
    /// True if only differences with the elected sign are summed.
    pub elect: bool,
    /// True if the sum is divided by the sum of the weights.
    pub divide: bool,
    /// Factor of the sum.
    pub lambda: f32,
    /// The models' weights, in order; all with the base's shape.
    pub terms: Vec<Term>,
}

fn parse(parser: &mut Parser<'_>) -> Parsed<TensorExpr> {
    let (elect, divide) = (parser.truth()?, parser.then(Parser::truth)?);
    let lambda = parser.then(Parser::float)?;
    let base = parser.then(Parser::expression)?;
    Ok(TensorExpr::new(Deltas { base, elect, divide, lambda, terms: term::parse(parser)? }))
}

impl Operator for Deltas {
    fn name(&self) -> OperatorName {
        NAME
    }

    fn print(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { base, elect, divide, lambda, terms } = self;
        write!(formatter, "{elect}, {divide}, {}, {base}", Float(*lambda))?;
        term::print(terms, formatter)
    }

    fn shape(&self) -> Vec<u64> {
        self.base.shape()
    }

    fn map_inputs(&self, renumber: &dyn Fn(usize) -> usize) -> TensorExpr {
        let (base, terms) = (self.base.map_inputs(renumber), term::map_inputs(&self.terms, renumber));
        TensorExpr::new(Self { base, terms, ..*self })
    }

    fn evaluate(&self, inputs: &dyn Inputs) -> Result<Box<dyn Rows>, EvaluationError> {
        Ok(Box::new(self.in_tiles(inputs, TILE_ELEMENTS)?))
    }
}

impl Deltas {
    fn in_tiles(&self, inputs: &dyn Inputs, n_elements: usize) -> Result<Mixed, EvaluationError> {
        let terms = Terms::new(&self.terms, &self.shape(), inputs)?;
        let base = Evaluator::new(&self.base, inputs)?;
        let keep = |(term, of): (&Term, &Evaluator)| {
            Difference { of, base: &base, n_elements }.kept(term.keep, inputs)
        };
        let keeps = self.terms.iter().zip(&terms.of).map(keep).collect::<Result<_, _>>()?;
        let divide = if self.divide { Divide::Yes } else { Divide::No };
        Ok(Mixed { base, terms, keeps, elect: self.elect, divide, lambda: self.lambda })
    }
}

struct Mixed {
    base: Evaluator,
    terms: Terms,
    keeps: Vec<Kept>,
    elect: bool,
    divide: Divide,
    lambda: f32,
}

impl Rows for Mixed {
    fn rows(&self, first: u64, n_cols: usize, out: &mut [f32]) -> Result<(), EvaluationError> {
        let mut base = vec![0.0; out.len()];
        self.base.rows(first, &mut base)?;
        let first = Place { row: first, element: first * n_cols as u64 };
        if self.elect {
            self.add_elected(first, &base, out)?;
        } else {
            self.add(first, &base, out)?;
        }
        add_to_base(out, &base, self.lambda);
        Ok(())
    }
}

/// The first of some rows, and the index of its first element in the whole weight.
#[derive(Clone, Copy)]
struct Place {
    row: u64,
    element: u64,
}

impl Mixed {
    /// The difference of a term, with the elements that it does not keep set to zero.
    fn difference(&self, term: usize, first: Place, base: &[f32]) -> Result<Vec<f32>, EvaluationError> {
        let mut difference = vec![0.0; base.len()];
        self.terms.of[term].rows(first.row, &mut difference)?;
        subtract(&mut difference, base);
        self.keeps[term].keep(&mut difference, first.element);
        Ok(difference)
    }

    fn add(&self, first: Place, base: &[f32], out: &mut [f32]) -> Result<(), EvaluationError> {
        out.fill(0.0);
        for (term, weight) in self.terms.weights.iter().enumerate() {
            add_weighted(out, &self.difference(term, first, base)?, *weight);
        }
        if self.divide == Divide::Yes {
            divide(out, divisor(&self.terms.weights));
        }
        Ok(())
    }

    fn add_elected(&self, first: Place, base: &[f32], out: &mut [f32]) -> Result<(), EvaluationError> {
        let mut weighted = Vec::with_capacity(self.keeps.len());
        for (term, weight) in self.terms.weights.iter().enumerate() {
            let mut sum = vec![0.0; out.len()];
            add_weighted(&mut sum, &self.difference(term, first, base)?, *weight);
            weighted.push(sum);
        }
        add_elected(out, &weighted, &self.terms.weights, self.divide);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use mc_tensor::blend::Draw as Drawn;
    use mc_tensor::dtype::DType;

    use super::*;
    use crate::draw::Draw;
    use crate::memory::{Memory, floats};
    use crate::operators::blend::term::Keep;
    use crate::operators::load::Load;

    pub(super) fn draw(draw: &mut Draw, shape: &[u64]) -> Option<TensorExpr> {
        let base = draw.expression(shape);
        let n_terms = draw.below(3);
        Some(TensorExpr::new(Deltas {
            base,
            elect: draw.below(2) == 0,
            divide: draw.below(2) == 0,
            lambda: draw.float(),
            terms: term::tests::draw(draw, n_terms, shape),
        }))
    }

    const SHAPE: [usize; 2] = [37, 24];
    const N: usize = SHAPE[0] * SHAPE[1];

    /// A base and models near it; many differences are equal, as for 16-bit weights.
    fn weights(n_models: usize) -> Vec<Vec<f32>> {
        let number = |i: usize| (i.wrapping_mul(2_654_435_761) % 2001) as f32 / 1000.0 - 1.0;
        let base: Vec<f32> = (0..N).map(number).collect();
        let model = |model: usize| {
            let delta =
                |i: usize| (((i * 31 + model * 7919) * 2_654_435_761 % 65_537) % 17) as f32 / 64.0 - 0.125;
            base.iter().enumerate().map(|(i, base)| base + delta(i)).collect()
        };
        let models: Vec<Vec<f32>> = (1..=n_models).map(model).collect();
        std::iter::once(base.clone()).chain(models).collect()
    }

    fn load(input: usize) -> TensorExpr {
        let shape = SHAPE.map(|n| n as u64).to_vec();
        TensorExpr::new(Load { input, dtype: DType::F32, shape })
    }

    fn evaluated(deltas: &Deltas, inputs: &Memory, n_elements: usize, n_rows: usize) -> Vec<f32> {
        let mixed = deltas.in_tiles(inputs, n_elements).unwrap();
        let mut out = vec![f32::NAN; N];
        for (number, rows) in out.chunks_mut(n_rows * SHAPE[1]).enumerate() {
            mixed.rows((number * n_rows) as u64, SHAPE[1], rows).unwrap();
        }
        out
    }

    /// The blend, after checking that it does not depend on the tiles.
    fn blended(deltas: &Deltas, weights: &[Vec<f32>]) -> Vec<f32> {
        let inputs = Memory(weights.iter().map(|values| floats(values)).collect());
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        let whole = evaluated(deltas, &inputs, TILE_ELEMENTS, SHAPE[0]);
        for (n_elements, n_rows) in [(1, 1), (2 * SHAPE[1], 5), (7 * SHAPE[1] + 1, 36)] {
            assert_eq!(bits(&evaluated(deltas, &inputs, n_elements, n_rows)), bits(&whole), "{n_elements}");
        }
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(bits(&one.install(|| evaluated(deltas, &inputs, 100, 3))), bits(&whole));
        whole
    }

    fn wide(values: &[f32]) -> Vec<f64> {
        values.iter().map(|value| f64::from(*value)).collect()
    }

    /// The difference of a model in f32 precision, with the elements that it does not keep set to zero.
    fn plain_delta(model: &[f32], base: &[f32], keep: Keep) -> Vec<f64> {
        let raw: Vec<f32> = model.iter().zip(base).map(|(a, b)| a - b).collect();
        let mut kept = wide(&raw);
        match keep {
            Keep::All => {}
            Keep::Largest(count) => {
                let mut order: Vec<usize> = (0..N).collect();
                order.sort_by(|a, b| raw[*b].abs().total_cmp(&raw[*a].abs()).then(a.cmp(b)));
                for index in &order[count as usize..] {
                    kept[*index] = 0.0;
                }
            }
            Keep::Random { stream, below, factor } => {
                let mut mask = vec![1.0_f32; N];
                Drawn { stream, below, factor }.keep(&mut mask, 0);
                for (kept, mask) in kept.iter_mut().zip(mask) {
                    *kept *= f64::from(mask);
                }
            }
        }
        kept
    }

    /// All delta methods by their formulas, in f64 and without streaming.
    fn plain(
        weights: &[Vec<f32>],
        terms: &[(f64, Keep)],
        elect: bool,
        divide: bool,
        lambda: f64,
    ) -> Vec<f64> {
        let base = wide(&weights[0]);
        let weighted = |(model, (weight, keep)): (&Vec<f32>, &(f64, Keep))| -> Vec<f64> {
            plain_delta(model, &weights[0], *keep).iter().map(|delta| delta * weight).collect()
        };
        let deltas: Vec<Vec<f64>> = weights[1..].iter().zip(terms).map(weighted).collect();
        let mixed = |index: usize| {
            let all: f64 = deltas.iter().map(|delta| delta[index]).sum();
            let sign = if all >= 0.0 { 1.0 } else { -1.0 };
            let is_in = |delta: f64| !elect || delta * sign > 0.0;
            let sum: f64 = deltas.iter().map(|delta| delta[index]).filter(|delta| is_in(*delta)).sum();
            let in_sum = deltas.iter().zip(terms).filter(|(delta, _)| is_in(delta[index]));
            let divisor: f64 = in_sum.map(|(_, (weight, _))| weight).sum();
            base[index] + lambda * if divide && divisor != 0.0 { sum / divisor } else { sum }
        };
        (0..N).map(mixed).collect()
    }

    fn check(terms: &[(f64, Keep)], elect: bool, divide: bool, lambda: f64) {
        let weights = weights(terms.len());
        let term = |(index, (weight, keep)): (usize, &(f64, Keep))| Term {
            of: load(index + 1),
            weight: *weight as f32,
            keep: *keep,
        };
        let all = terms.iter().enumerate().map(term).collect();
        let deltas = Deltas { base: load(0), elect, divide, lambda: lambda as f32, terms: all };
        let expected = plain(&weights, terms, elect, divide, lambda);
        for (index, (found, expected)) in blended(&deltas, &weights).iter().zip(&expected).enumerate() {
            let tolerance = 2e-6 * expected.abs().max(1.0);
            assert!((f64::from(*found) - expected).abs() < tolerance, "{index}: {found} and {expected}");
        }
    }

    #[test]
    fn the_text_shows_every_parameter() {
        let load = |input| TensorExpr::new(Load { input, dtype: DType::BF16, shape: vec![4] });
        let keeps = [Keep::All, Keep::Largest(2), Keep::Random { stream: 7, below: 9, factor: 2.0 }];
        let term = |(index, keep): (usize, &Keep)| Term { of: load(index + 1), weight: 0.5, keep: *keep };
        let terms = keeps.iter().enumerate().map(term).collect();
        let deltas = Deltas { base: load(0), elect: true, divide: false, lambda: 1.0, terms };
        let expression = TensorExpr::new(deltas);
        assert_eq!(
            expression.to_string(),
            "deltas@1(true, false, 3f800000, load($0, BF16, [4]), [3f000000, all, load($1, BF16, [4])], \
             [3f000000, largest(2), load($2, BF16, [4])], \
             [3f000000, random(0000000000000007, 9, 40000000), load($3, BF16, [4])])"
        );
        assert_eq!(expression.shape(), [4]);
        let moved = expression.map_inputs(&|input| input + 5).to_string();
        assert!(moved.contains("load($5") && moved.contains("load($8"), "{moved}");
    }

    #[test]
    fn task_arithmetic_is_the_base_and_the_weighted_differences() {
        check(&[(0.6, Keep::All), (-0.4, Keep::All)], false, false, 1.0);
        check(&[(0.6, Keep::All), (0.3, Keep::All)], false, true, 0.5);
        // Weights that cancel do not divide.
        check(&[(0.5, Keep::All), (-0.5, Keep::All)], false, true, 1.0);
    }

    #[test]
    fn ties_trims_elects_and_joins() {
        let keep = |density: f64| Keep::Largest(((density * N as f64) as u64).max(1));
        for divide in [true, false] {
            check(&[(0.6, keep(0.5)), (0.4, keep(0.3)), (1.0, keep(0.8))], true, divide, 1.0);
        }
        check(&[(1.0, Keep::All), (0.5, Keep::All)], true, true, 0.7);
        // One element of each, and all of one of them.
        check(&[(1.0, Keep::Largest(1)), (0.5, Keep::Largest(1))], true, true, 1.0);
        check(&[(1.0, Keep::Largest(N as u64)), (0.5, Keep::Largest(7))], true, true, 1.0);
    }

    #[test]
    fn dare_keeps_the_drawn_elements() {
        let keep = |stream: u64, density: f64| Keep::Random {
            stream,
            below: (density * 4_294_967_296.0) as u64,
            factor: (1.0 / density) as f32,
        };
        for elect in [true, false] {
            check(&[(0.6, keep(1, 0.5)), (0.4, keep(2, 0.25))], elect, false, 1.0);
            check(&[(0.6, keep(1, 0.001)), (0.4, Keep::All)], elect, true, 1.0);
        }
    }

    #[test]
    fn models_equal_to_the_base_leave_the_base() {
        let weights = weights(0);
        let keeps = [Keep::All, Keep::Largest(3), Keep::Random { stream: 1, below: 1 << 31, factor: 2.0 }];
        for (elect, keep) in [true, false].into_iter().flat_map(|elect| keeps.map(|keep| (elect, keep))) {
            let term = || Term { of: load(0), weight: 0.5, keep };
            let terms = vec![term(), term()];
            let deltas = Deltas { base: load(0), elect, divide: true, lambda: 1.0, terms };
            assert_eq!(blended(&deltas, &weights), weights[0]);
        }
    }
}
