//! Evaluates a blend: first, in passes over the whole weight, what every tile needs to know of it; then any rows.
//!
//! The passes run over tiles, side by side. What they find is a count, or a sum over rows in order, so it depends
//! neither on the tiles nor on the threads.

use mc_expression::blend::{Blend, Formula, Keep, Term};
use mc_ir::action::{ActionContext, ActionError};
use mc_tensor::blend::{
    Divide, Draw, Products, add_elected, add_to_base, add_weighted, divide, divisor, subtract, sum_of,
};
use mc_tensor::largest::{Counts, Largest, n_equal, nth_equal};
use rayon::prelude::*;

use crate::expression::evaluate::Evaluator;

/// Elements that a pass looks at at once.
const TILE_ELEMENTS: usize = 1 << 18;

/// A blend with its inputs at hand and what had to be known of the whole.
pub(crate) struct Blended {
    formula: Resolved,
    terms: Vec<Evaluator>,
    weights: Vec<f32>,
}

enum Resolved {
    Linear {
        divisor: Option<f32>,
    },
    /// The factors of the two terms.
    Slerp([f32; 2]),
    Deltas {
        base: Evaluator,
        keeps: Vec<Kept>,
        elect: bool,
        divide: bool,
        lambda: f32,
    },
}

/// What is kept of a difference.
enum Kept {
    All,
    Largest(Largest),
    Drawn(Draw),
}

impl Blended {
    /// Maps the inputs and makes the passes.
    ///
    /// # Errors
    /// When an input cannot be read or the build was interrupted.
    pub(crate) fn new(blend: &Blend, ctx: &dyn ActionContext) -> Result<Self, ActionError> {
        Self::in_tiles(blend, ctx, TILE_ELEMENTS)
    }

    fn in_tiles(blend: &Blend, ctx: &dyn ActionContext, n_elements: usize) -> Result<Self, ActionError> {
        let terms: Vec<Evaluator> =
            blend.terms.iter().map(|term| Evaluator::new(&term.of, ctx)).collect::<Result<_, _>>()?;
        let weights: Vec<f32> = blend.terms.iter().map(|term| term.weight).collect();
        let formula = match &blend.formula {
            Formula::Linear { divide } => Resolved::Linear { divisor: divide.then(|| sum_of(&weights)) },
            Formula::Slerp { t } => {
                let [from, to] = terms.as_slice() else {
                    return Err(ActionError::failed("A sphere is walked between exactly two weights"));
                };
                Resolved::Slerp(products(from, to, ctx, n_elements)?.slerp(*t))
            }
            Formula::Deltas { base, elect, divide, lambda } => {
                let base = Evaluator::new(base, ctx)?;
                let keep = |(term, of): (&Term, &Evaluator)| {
                    let deltas = Deltas { of, base: &base };
                    let kept = match term.keep {
                        Keep::All => Kept::All,
                        Keep::Random { stream, below, factor } => Kept::Drawn(Draw { stream, below, factor }),
                        Keep::Largest(count) => Kept::Largest(deltas.largest(count, ctx, n_elements)?),
                    };
                    Ok::<_, ActionError>(kept)
                };
                let keeps = blend.terms.iter().zip(&terms).map(keep).collect::<Result<_, _>>()?;
                Resolved::Deltas { base, keeps, elect: *elect, divide: *divide, lambda: *lambda }
            }
        };
        Ok(Self { formula, terms, weights })
    }

    /// Computes the rows `first..first + out.len() / n_cols` into `out`.
    pub(crate) fn rows(&self, first: u64, n_cols: usize, out: &mut [f32]) -> Result<(), ActionError> {
        match &self.formula {
            Resolved::Linear { divisor } => {
                self.add(&self.weights, first, out)?;
                if let Some(divisor) = divisor {
                    divide(out, *divisor);
                }
            }
            Resolved::Slerp(factors) => self.add(factors, first, out)?,
            Resolved::Deltas { base, keeps, elect, divide: is_divided, lambda } => {
                let mut of_base = vec![0.0; out.len()];
                base.rows(first, &mut of_base)?;
                let first_element = first * n_cols as u64;
                let kept = |(term, keep): (&Evaluator, &Kept)| {
                    let mut delta = vec![0.0; of_base.len()];
                    term.rows(first, &mut delta)?;
                    subtract(&mut delta, &of_base);
                    match keep {
                        Kept::All => {}
                        Kept::Largest(largest) => largest.keep(&mut delta, first_element),
                        Kept::Drawn(draw) => draw.keep(&mut delta, first_element),
                    }
                    Ok::<_, ActionError>(delta)
                };
                out.fill(0.0);
                if *elect {
                    let mut weighted = Vec::with_capacity(self.terms.len());
                    for (pair, weight) in self.terms.iter().zip(keeps).zip(&self.weights) {
                        let mut sum = vec![0.0; out.len()];
                        add_weighted(&mut sum, &kept(pair)?, *weight);
                        weighted.push(sum);
                    }
                    let is_divided = if *is_divided { Divide::Yes } else { Divide::No };
                    add_elected(out, &weighted, &self.weights, is_divided);
                } else {
                    for (pair, weight) in self.terms.iter().zip(keeps).zip(&self.weights) {
                        add_weighted(out, &kept(pair)?, *weight);
                    }
                    if *is_divided {
                        divide(out, divisor(&self.weights));
                    }
                }
                add_to_base(out, &of_base, *lambda);
            }
        }
        Ok(())
    }

    fn add(&self, factors: &[f32], first: u64, out: &mut [f32]) -> Result<(), ActionError> {
        out.fill(0.0);
        let mut values = vec![0.0; out.len()];
        for (term, factor) in self.terms.iter().zip(factors) {
            term.rows(first, &mut values)?;
            add_weighted(out, &values, *factor);
        }
        Ok(())
    }
}

/// The tiles of a weight: the first row of each, and how many it has.
fn tiles(of: &Evaluator, n_elements: usize) -> Vec<(u64, usize)> {
    let n_rows = (n_elements / of.n_cols.max(1)).max(1);
    let tile = |first: u64| (first, (of.n_rows - first).min(n_rows as u64) as usize);
    (0..of.n_rows).step_by(n_rows).map(tile).collect()
}

/// The products of two weights, summed row after row.
fn products(
    from: &Evaluator,
    to: &Evaluator,
    ctx: &dyn ActionContext,
    n_elements: usize,
) -> Result<Products, ActionError> {
    let of_tile = |&(first, n_rows): &(u64, usize)| {
        ctx.go_on()?;
        let mut a = vec![0.0; n_rows * from.n_cols];
        let mut b = a.clone();
        from.rows(first, &mut a)?;
        to.rows(first, &mut b)?;
        let n_cols = from.n_cols.max(1);
        Ok(a.chunks(n_cols).zip(b.chunks(n_cols)).map(|(a, b)| Products::of_row(a, b)).collect::<Vec<_>>())
    };
    let rows: Vec<Vec<Products>> =
        tiles(from, n_elements).par_iter().map(of_tile).collect::<Result<_, ActionError>>()?;
    Ok(rows.into_iter().flatten().fold(Products::default(), Products::plus))
}

/// The differences of a weight from its base.
struct Deltas<'a> {
    of: &'a Evaluator,
    base: &'a Evaluator,
}

impl Deltas<'_> {
    fn tile(&self, (first, n_rows): (u64, usize)) -> Result<Vec<f32>, ActionError> {
        let mut deltas = vec![0.0; n_rows * self.of.n_cols];
        let mut base = deltas.clone();
        self.of.rows(first, &mut deltas)?;
        self.base.rows(first, &mut base)?;
        subtract(&mut deltas, &base);
        Ok(deltas)
    }

    fn count(
        &self,
        empty: &Counts,
        tiles: &[(u64, usize)],
        ctx: &dyn ActionContext,
    ) -> Result<Counts, ActionError> {
        // One set of counts a thread: it has half a megabyte.
        let n_tiles = tiles.len().div_ceil(rayon::current_num_threads()).max(1);
        let some = |tiles: &[(u64, usize)]| {
            let mut counts = empty.clone();
            for tile in tiles {
                ctx.go_on()?;
                counts.add(&self.tile(*tile)?);
            }
            Ok(counts)
        };
        let counts: Vec<Counts> = tiles.par_chunks(n_tiles).map(some).collect::<Result<_, ActionError>>()?;
        Ok(counts.iter().fold(empty.clone(), Counts::join))
    }

    /// Which `count` elements have the largest magnitude.
    fn largest(
        &self,
        count: u64,
        ctx: &dyn ActionContext,
        n_elements: usize,
    ) -> Result<Largest, ActionError> {
        let tiles = tiles(self.of, n_elements);
        let bug = || ActionError::failed(format!("The weight has not the {count} elements to keep"));
        let high = self.count(&Counts::of_high_bits(), &tiles, ctx)?.find(count).ok_or_else(bug)?;
        let low = self.count(&Counts::of_low_bits(high.bits), &tiles, ctx)?;
        let low = low.find(high.n_wanted).ok_or_else(bug)?;
        if low.n_wanted == low.n_there {
            return Ok(Largest { magnitude: low.bits, last: u64::MAX });
        }
        let equal = |tile: &(u64, usize)| {
            ctx.go_on()?;
            Ok(n_equal(&self.tile(*tile)?, low.bits))
        };
        let equal: Vec<u64> = tiles.par_iter().map(equal).collect::<Result<_, ActionError>>()?;
        let mut n_wanted = low.n_wanted;
        for (tile, n_equal) in tiles.iter().zip(equal) {
            if n_wanted > n_equal {
                n_wanted -= n_equal;
                continue;
            }
            let within = nth_equal(&self.tile(*tile)?, low.bits, n_wanted).ok_or_else(bug)?;
            let last = tile.0 * self.of.n_cols as u64 + within as u64;
            return Ok(Largest { magnitude: low.bits, last });
        }
        Err(bug())
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the plain f64 formulas that ours are compared with")]
mod tests {
    use std::io;
    use std::sync::Arc;

    use mc_digest::digest::BlobDigest;
    use mc_expression::expression::TensorExpr;
    use mc_ir::action::{Content, Piece};
    use mc_ir::output::Output;
    use mc_tensor::dtype::DType;

    use super::*;

    const SHAPE: [usize; 2] = [37, 24];
    const N: usize = SHAPE[0] * SHAPE[1];

    /// Inputs in memory.
    struct Inputs(Vec<Vec<f32>>);

    impl ActionContext for Inputs {
        fn input(&self, index: usize) -> Result<Content, ActionError> {
            let bytes: Vec<u8> = self.0[index].iter().flat_map(|value| value.to_le_bytes()).collect();
            Ok(Content { parts: vec![Piece::whole(Arc::new(bytes))] })
        }
        fn input_digest(&self, _index: usize) -> Output {
            Output::File(BlobDigest::of(b""))
        }
        fn write_blob(
            &self,
            _write: &mut dyn FnMut(&mut dyn io::Write) -> Result<(), ActionError>,
        ) -> Result<BlobDigest, ActionError> {
            Err(ActionError::failed("nothing is written here"))
        }
        fn is_cancelled(&self) -> bool {
            false
        }
    }

    /// A base and models near it; many differences are equal, as those of 16-bit weights are.
    fn inputs(n_models: usize) -> Inputs {
        let number = |i: usize| (i.wrapping_mul(2_654_435_761) % 2001) as f32 / 1000.0 - 1.0;
        let base: Vec<f32> = (0..N).map(number).collect();
        let model = |model: usize| {
            let delta =
                |i: usize| (((i * 31 + model * 7919) * 2_654_435_761 % 65_537) % 17) as f32 / 64.0 - 0.125;
            base.iter().enumerate().map(|(i, base)| base + delta(i)).collect()
        };
        let models: Vec<Vec<f32>> = (1..=n_models).map(model).collect();
        Inputs(std::iter::once(base.clone()).chain(models).collect())
    }

    fn load(input: usize) -> TensorExpr {
        TensorExpr::Load { input, dtype: DType::F32, shape: SHAPE.map(|n| n as u64).to_vec() }
    }

    fn term(input: usize, weight: f32, keep: Keep) -> Term {
        Term { of: load(input), weight, keep }
    }

    fn evaluated(blend: &Blend, inputs: &Inputs, n_elements: usize, n_rows: usize) -> Vec<f32> {
        let blended = Blended::in_tiles(blend, inputs, n_elements).unwrap();
        let mut out = vec![f32::NAN; N];
        for (number, rows) in out.chunks_mut(n_rows * SHAPE[1]).enumerate() {
            blended.rows((number * n_rows) as u64, SHAPE[1], rows).unwrap();
        }
        out
    }

    /// The blend, after it came out the same however it was cut.
    fn blended(blend: &Blend, inputs: &Inputs) -> Vec<f32> {
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        let whole = evaluated(blend, inputs, TILE_ELEMENTS, SHAPE[0]);
        for (n_elements, n_rows) in [(1, 1), (2 * SHAPE[1], 5), (7 * SHAPE[1] + 1, 36)] {
            assert_eq!(bits(&evaluated(blend, inputs, n_elements, n_rows)), bits(&whole), "{n_elements}");
        }
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(bits(&one.install(|| evaluated(blend, inputs, 100, 3))), bits(&whole));
        whole
    }

    fn close(found: &[f32], expected: &[f64]) {
        for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
            let tolerance = 2e-6 * expected.abs().max(1.0);
            assert!((f64::from(*found) - expected).abs() < tolerance, "{index}: {found} and {expected}");
        }
        assert_eq!(found.len(), expected.len());
    }

    fn wide(values: &[f32]) -> Vec<f64> {
        values.iter().map(|value| f64::from(*value)).collect()
    }

    /// Every method on differences, from the formulas, in f64 and without streaming.
    fn plain(inputs: &Inputs, terms: &[(f64, Keep)], elect: bool, divide: bool, lambda: f64) -> Vec<f64> {
        let base = wide(&inputs.0[0]);
        let mut deltas: Vec<Vec<f64>> = Vec::new();
        for (number, (weight, keep)) in terms.iter().enumerate() {
            // Differences are compared as f32 has them.
            let raw: Vec<f32> = inputs.0[number + 1].iter().zip(&inputs.0[0]).map(|(a, b)| a - b).collect();
            let mut kept = wide(&raw);
            match keep {
                Keep::All => {}
                Keep::Largest(count) => {
                    let mut order: Vec<usize> = (0..N).collect();
                    order.sort_by(|a, b| raw[*b].abs().total_cmp(&raw[*a].abs()).then(a.cmp(b)));
                    for index in &order[*count as usize..] {
                        kept[*index] = 0.0;
                    }
                }
                Keep::Random { stream, below, factor } => {
                    let mut mask = vec![1.0_f32; N];
                    Draw { stream: *stream, below: *below, factor: *factor }.keep(&mut mask, 0);
                    for (kept, mask) in kept.iter_mut().zip(mask) {
                        *kept *= f64::from(mask);
                    }
                }
            }
            deltas.push(kept.iter().map(|delta| delta * weight).collect());
        }
        let mixed = |index: usize| {
            let all: f64 = deltas.iter().map(|delta| delta[index]).sum();
            let sign = if all >= 0.0 { 1.0 } else { -1.0 };
            let is_in = |delta: f64| !elect || delta * sign > 0.0;
            let sum: f64 = deltas.iter().map(|delta| delta[index]).filter(|delta| is_in(*delta)).sum();
            let divisor: f64 = deltas
                .iter()
                .zip(terms)
                .filter(|(delta, _)| is_in(delta[index]))
                .map(|(_, (weight, _))| weight)
                .sum();
            base[index] + lambda * if divide && divisor != 0.0 { sum / divisor } else { sum }
        };
        (0..N).map(mixed).collect()
    }

    fn check(terms: &[(f64, Keep)], elect: bool, divide: bool, lambda: f64) {
        let inputs = inputs(terms.len());
        let formula = Formula::Deltas { base: load(0), elect, divide, lambda: lambda as f32 };
        let all = terms.iter().enumerate().map(|(i, (weight, keep))| term(i + 1, *weight as f32, *keep));
        let found = blended(&Blend { formula, terms: all.collect() }, &inputs);
        close(&found, &plain(&inputs, terms, elect, divide, lambda));
    }

    #[test]
    fn linear_is_the_weighted_mean() {
        let inputs = inputs(2);
        for divide in [true, false] {
            let terms = vec![term(1, 0.75, Keep::All), term(2, 0.5, Keep::All)];
            let found = blended(&Blend { formula: Formula::Linear { divide }, terms }, &inputs);
            let divisor = if divide { 1.25 } else { 1.0 };
            let mean = |(a, b): (&f32, &f32)| (0.75 * f64::from(*a) + 0.5 * f64::from(*b)) / divisor;
            let expected: Vec<f64> = inputs.0[1].iter().zip(&inputs.0[2]).map(mean).collect();
            close(&found, &expected);
        }
    }

    #[test]
    fn slerp_is_a_point_on_the_arc() {
        let mut inputs = inputs(1);
        inputs.0[1].reverse();
        let (a, b) = (wide(&inputs.0[0]), wide(&inputs.0[1]));
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let angle = (dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()).acos();
        for t in [0.0, 0.3, 1.0] {
            let (of_a, of_b) = (((1.0 - t) * angle).sin() / angle.sin(), (t * angle).sin() / angle.sin());
            let expected: Vec<f64> = a.iter().zip(&b).map(|(a, b)| of_a * a + of_b * b).collect();
            let terms = vec![term(0, 1.0, Keep::All), term(1, 1.0, Keep::All)];
            close(&blended(&Blend { formula: Formula::Slerp { t }, terms }, &inputs), &expected);
        }
    }

    #[test]
    fn slerp_of_equal_weights_is_the_weight() {
        let inputs = inputs(1);
        let terms = vec![term(0, 1.0, Keep::All), term(0, 1.0, Keep::All)];
        let found = blended(&Blend { formula: Formula::Slerp { t: 0.25 }, terms }, &inputs);
        // A quarter and three quarters of a number are exact.
        assert_eq!(found, inputs.0[0]);
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
    fn dare_keeps_what_was_drawn() {
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
    fn models_that_learned_nothing_leave_the_base() {
        let inputs = inputs(0);
        let keeps = [Keep::All, Keep::Largest(3), Keep::Random { stream: 1, below: 1 << 31, factor: 2.0 }];
        for (elect, keep) in [true, false].into_iter().flat_map(|elect| keeps.map(|keep| (elect, keep))) {
            let formula = Formula::Deltas { base: load(0), elect, divide: true, lambda: 1.0 };
            let terms = vec![term(0, 0.5, keep), term(0, 0.5, keep)];
            assert_eq!(blended(&Blend { formula, terms }, &inputs), inputs.0[0]);
        }
    }
}
