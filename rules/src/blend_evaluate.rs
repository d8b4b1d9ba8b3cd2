//! Evaluates a blend: first, in passes over the whole weight, what every tile needs to know of it; then any rows.
//!
//! The passes run over tiles, side by side. What they find is a count, or a sum over rows in order, so it depends
//! neither on the tiles nor on the threads.

use mc_ir::action::{ActionContext, ActionError};
use mc_ir::blend::{Blend, Formula, Keep, Term};
use mc_tensor::blend::{
    Divide, Draw, Products, add_elected, add_to_base, add_weighted, divide, divisor, subtract, sum_of,
};
use mc_tensor::largest::{Counts, Largest, n_equal, nth_equal};
use rayon::prelude::*;

use crate::evaluate::Evaluator;

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

fn go_on(ctx: &dyn ActionContext) -> Result<(), ActionError> {
    if ctx.is_cancelled() { Err(ActionError::Cancelled) } else { Ok(()) }
}

/// The products of two weights, summed row after row.
fn products(
    from: &Evaluator,
    to: &Evaluator,
    ctx: &dyn ActionContext,
    n_elements: usize,
) -> Result<Products, ActionError> {
    let of_tile = |&(first, n_rows): &(u64, usize)| {
        go_on(ctx)?;
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
                go_on(ctx)?;
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
            go_on(ctx)?;
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
