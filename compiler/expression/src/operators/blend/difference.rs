//! The difference of a weight from its base, and the selection of its elements.
//!
//! To find the largest elements, passes over the whole weight count magnitudes, with tiles in parallel. The counts
//! depend neither on tiles nor on threads.

use mc_tensor::blend::{Draw, subtract};
use mc_tensor::largest::{Counts, Largest, n_equal, nth_equal};
use rayon::prelude::*;

use crate::error::EvaluationError;
use crate::evaluator::{Evaluator, Tile};
use crate::inputs::Inputs;
use crate::operators::blend::term::Keep;

/// The elements of a difference that are kept, with the values precomputed from the whole weight.
pub(crate) enum Kept {
    /// All.
    All,
    /// The largest.
    Largest(Largest),
    /// Random ones.
    Drawn(Draw),
}

impl Kept {
    /// Zeroes the elements that are not kept. `first` is the index of the first element in the whole weight.
    pub(crate) fn keep(&self, difference: &mut [f32], first: u64) {
        match self {
            Self::All => {}
            Self::Largest(largest) => largest.keep(difference, first),
            Self::Drawn(draw) => draw.keep(difference, first),
        }
    }
}

/// The difference of a weight from its base.
pub(crate) struct Difference<'a> {
    pub(crate) of: &'a Evaluator,
    pub(crate) base: &'a Evaluator,
    /// Number of elements that a pass holds at a time.
    pub(crate) n_elements: usize,
}

impl Difference<'_> {
    /// Selects the elements to keep; the largest need passes over the whole weight.
    pub(crate) fn kept(&self, keep: Keep, inputs: &dyn Inputs) -> Result<Kept, EvaluationError> {
        Ok(match keep {
            Keep::All => Kept::All,
            Keep::Random { stream, below, factor } => Kept::Drawn(Draw { stream, below, factor }),
            Keep::Largest(count) => Kept::Largest(self.largest(count, inputs)?),
        })
    }

    fn tile(&self, tile: Tile) -> Result<Vec<f32>, EvaluationError> {
        let mut difference = vec![0.0; tile.n_rows * self.of.n_cols()];
        let mut base = difference.clone();
        self.of.rows(tile.first, &mut difference)?;
        self.base.rows(tile.first, &mut base)?;
        subtract(&mut difference, &base);
        Ok(difference)
    }

    fn count(&self, empty: &Counts, tiles: &[Tile], inputs: &dyn Inputs) -> Result<Counts, EvaluationError> {
        // One set of counts per thread, because a set takes half a megabyte.
        let n_tiles = tiles.len().div_ceil(rayon::current_num_threads()).max(1);
        let some = |tiles: &[Tile]| {
            let mut counts = empty.clone();
            for tile in tiles {
                inputs.go_on()?;
                counts.add(&self.tile(*tile)?);
            }
            Ok(counts)
        };
        let counts: Vec<Counts> =
            tiles.par_chunks(n_tiles).map(some).collect::<Result<_, EvaluationError>>()?;
        Ok(counts.iter().fold(empty.clone(), Counts::join))
    }

    /// The `count` elements with the largest magnitude.
    fn largest(&self, count: u64, inputs: &dyn Inputs) -> Result<Largest, EvaluationError> {
        let tiles = self.of.tiles(self.n_elements);
        let lacking =
            || EvaluationError::misfit(format!("The weight has fewer than the {count} elements to keep"));
        let high = self.count(&Counts::of_high_bits(), &tiles, inputs)?.find(count).ok_or_else(lacking)?;
        let low = self.count(&Counts::of_low_bits(high.bits), &tiles, inputs)?;
        let low = low.find(high.n_wanted).ok_or_else(lacking)?;
        if low.n_wanted == low.n_there {
            return Ok(Largest { magnitude: low.bits, last: u64::MAX });
        }
        let equal = |tile: &Tile| {
            inputs.go_on()?;
            Ok(n_equal(&self.tile(*tile)?, low.bits))
        };
        let equal: Vec<u64> = tiles.par_iter().map(equal).collect::<Result<_, EvaluationError>>()?;
        let mut n_wanted = low.n_wanted;
        for (tile, n_equal) in tiles.iter().zip(equal) {
            if n_wanted > n_equal {
                n_wanted -= n_equal;
                continue;
            }
            let within = nth_equal(&self.tile(*tile)?, low.bits, n_wanted).ok_or_else(lacking)?;
            let last = tile.first * self.of.n_cols() as u64 + within as u64;
            return Ok(Largest { magnitude: low.bits, last });
        }
        Err(lacking())
    }
}
