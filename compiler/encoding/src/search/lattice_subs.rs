//! Sub-blocks of the IQ2 and IQ3 codecs: the weights of errors, and the results of searches.
//!
//! A codec searches the sub-blocks of a super-block one after another or, in lanes, one per lane with
//! [`crate::search::lattice_lanes`].

use crate::codebook::lanes::Near;
use crate::lanes::{MAX_LANES, Simd};
use crate::search::lanes::positive::positive;
use crate::search::lanes::weigh;
use crate::search::lattice::{SIGNED, Tries};
use crate::search::lattice_lanes::{self, Groups};
use crate::search::super_blocks::{LEN, MAX_SUBS, WINDOW, Window};
use crate::search::{self, sum_of_squares};

/// The search of sub-blocks.
pub(crate) struct Search<const DIM: usize> {
    /// The points.
    pub(crate) near: &'static Near<DIM>,
    /// The scales.
    pub(crate) tries: Tries,
    /// The weighting of errors.
    pub(crate) counting: Counting,
    /// True if seven of eight signs are stored.
    pub(crate) has_even_signs: bool,
    /// A sub-block whose largest magnitude is below this counts as zero.
    pub(crate) max_eps: f32,
    /// The start of the scales.
    pub(crate) start: Start,
}

/// The weighting of errors in a search.
#[derive(Clone, Copy)]
pub(crate) struct Counting {
    /// Factor of the super-block's mean square.
    pub(crate) sigma2_factor: f32,
    /// The weighting without importance.
    pub(crate) plain: Plain,
}

/// The weighting of errors without importance.
#[derive(Clone, Copy)]
pub(crate) enum Plain {
    /// By square.
    Square,
    /// By square plus a quarter of the mean square.
    SquareAndMean,
}

/// The start of the scales to try.
#[derive(Clone, Copy)]
pub(crate) enum Start {
    /// The largest magnitude, multiplied by a number.
    Largest(f32),
    /// The result of [`crate::search::positive`] for codes up to 4.
    Positive,
}

/// The result for a sub-block that is not zero.
#[derive(Clone, Copy)]
pub(crate) struct Sub<const N: usize, const N_SIGNS: usize> {
    /// Negative in rare cases, in which all signs flip.
    pub(crate) scale: f32,
    /// The indices of the points.
    pub(crate) points: [u16; N],
    /// The signs, one byte per eight weights, all eight or the lower seven.
    pub(crate) signs: [u8; N_SIGNS],
}

/// Searches the sub-blocks of a super-block, one after another.
pub(crate) fn search_each<const SUB_LEN: usize, const N_SUBS: usize, T: Copy>(
    x: &[f32; LEN],
    importance: Option<&[f32; LEN]>,
    counting: Counting,
    search: impl Fn(&[f32; SUB_LEN], &[f32; SUB_LEN]) -> Option<T>,
) -> [Option<T>; N_SUBS] {
    let sigma2 = counting.sigma2_factor * sum_of_squares(x) / LEN as f32;
    let mut found = [None; N_SUBS];
    for (sub, (found, x)) in found.iter_mut().zip(x.as_chunks::<SUB_LEN>().0).enumerate() {
        let weights = match (importance, counting.plain) {
            (Some(importance), _) => search::weigh(x, &importance.as_chunks::<SUB_LEN>().0[sub], sigma2),
            (None, Plain::Square) => x.map(|x| x * x),
            (None, Plain::SquareAndMean) => x.map(|x| 0.25 * sigma2 + x * x),
        };
        *found = search(x, &weights);
    }
    found
}

/// Encodes the super-blocks of a window; `write` makes a block from its sub-blocks.
#[inline(always)]
pub(crate) fn encode<
    S: Simd,
    const DIM: usize,
    const N: usize,
    const SUB_LEN: usize,
    const N_SIGNS: usize,
    const N_SUBS: usize,
    const BYTES: usize,
>(
    search: &Search<DIM>,
    window: &Window<'_>,
    blocks: &mut [[u8; BYTES]],
    write: fn(&[Option<Sub<N, N_SIGNS>>; N_SUBS], &mut [u8; BYTES]),
) {
    const { assert!(SUB_LEN * N_SUBS == LEN && SIGNED * N_SIGNS == SUB_LEN) };
    let mut subs = [None; WINDOW * MAX_SUBS];
    let sums = window.sums_of_squares::<S>();
    for first in (0..window.x.len() / SUB_LEN).step_by(S::N) {
        let found = find::<S, DIM, N, SUB_LEN, N_SIGNS>(search, window, &sums, first);
        subs[first..][..S::N].copy_from_slice(&found[..S::N]);
    }
    for (subs, block) in subs.as_chunks::<N_SUBS>().0.iter().zip(blocks) {
        write(subs, block);
    }
}

/// Searches the sub-blocks of all lanes.
#[inline(always)]
fn find<S: Simd, const DIM: usize, const N: usize, const SUB_LEN: usize, const N_SIGNS: usize>(
    search: &Search<DIM>,
    window: &Window<'_>,
    sums: &[f32; WINDOW],
    first: usize,
) -> [Option<Sub<N, N_SIGNS>>; MAX_LANES] {
    let (x, weights) = numbers::<S, SUB_LEN>(window, sums, first, search.counting);
    let (magnitudes, signs) = split_signs::<S, SUB_LEN, N_SIGNS>(&x, &weights, search.has_even_signs);
    let mut max = S::splat(f32::NEG_INFINITY);
    for magnitude in magnitudes {
        max = S::max(max, magnitude);
    }
    let zero = S::splat(0.0);
    let mut is_zero = S::lt(max, S::splat(search.max_eps)) | S::eq(max, zero);
    let (start, range) = match search.start {
        Start::Largest(divisor) => (max / S::splat(divisor), max),
        Start::Positive => {
            let ([start], _) = positive::<S, SUB_LEN, 1>(&[magnitudes], 4, &[weights]);
            let range = start * S::splat(3.0);
            is_zero = is_zero | !S::lt(zero, range);
            (start, range)
        }
    };
    let mut found = [None; MAX_LANES];
    let is_zero = S::mask_bits(is_zero);
    if is_zero == u32::MAX >> (32 - S::N) {
        return found;
    }
    let groups = Groups { x: &magnitudes, weights: &weights };
    let fits = lattice_lanes::fit::<S, DIM, N, SUB_LEN>(search.near, &groups, start, range, &search.tries);
    for (lane, found) in found[..S::N].iter_mut().enumerate() {
        if is_zero >> lane & 1 == 0 {
            let mut sub = Sub { scale: fits.scales[lane], points: [0; N], signs: [0; N_SIGNS] };
            for (point_idx, points) in sub.points.iter_mut().zip(&fits.points) {
                *point_idx = points[lane];
            }
            for (of_lane, signs) in sub.signs.iter_mut().zip(&signs) {
                *of_lane = signs[lane];
            }
            *found = Some(sub);
        }
    }
    found
}

/// The sub-blocks of all lanes and their weights.
#[inline(always)]
pub(crate) fn numbers<S: Simd, const SUB_LEN: usize>(
    window: &Window<'_>,
    sums: &[f32; WINDOW],
    first: usize,
    counting: Counting,
) -> ([S::F; SUB_LEN], [S::F; SUB_LEN]) {
    let (starts, cols) = window.starts::<S>(first, SUB_LEN);
    let x = S::columns::<SUB_LEN>(window.x, &starts);
    let mut sigma2 = [0.0; MAX_LANES];
    for lane in 0..S::N {
        sigma2[lane] = counting.sigma2_factor * sums[starts[lane] / LEN] / LEN as f32;
    }
    let sigma2 = S::load(&sigma2);
    let weights = match window.importance {
        Some(importance) => weigh::<S, SUB_LEN>(&x, &S::columns::<SUB_LEN>(importance, &cols), sigma2),
        None => plain_weights::<S, SUB_LEN>(&x, sigma2, counting.plain),
    };
    (x, weights)
}

#[inline(always)]
fn plain_weights<S: Simd, const SUB_LEN: usize>(
    x: &[S::F; SUB_LEN],
    sigma2: S::F,
    plain: Plain,
) -> [S::F; SUB_LEN] {
    let mut weights = *x;
    for weight in &mut weights {
        *weight = match plain {
            Plain::Square => *weight * *weight,
            Plain::SquareAndMean => S::splat(0.25) * sigma2 + *weight * *weight,
        };
    }
    weights
}

/// [`crate::search::lattice::split_signs`] or [`crate::search::lattice::split_even_signs`] for every eight weights.
#[inline(always)]
fn split_signs<S: Simd, const SUB_LEN: usize, const N_SIGNS: usize>(
    x: &[S::F; SUB_LEN],
    weights: &[S::F; SUB_LEN],
    is_even: bool,
) -> ([S::F; SUB_LEN], [[u8; MAX_LANES]; N_SIGNS]) {
    let zero = S::splat(0.0);
    let mut magnitudes = *x;
    let mut bytes = [[0; MAX_LANES]; N_SIGNS];
    for (group, bytes) in bytes.iter_mut().enumerate() {
        let first = group * SIGNED;
        let mut signs = S::splat_i(0);
        for i in 0..SIGNED {
            let value = x[first + i];
            magnitudes[first + i] = S::select(S::le(zero, value), value, S::neg(value));
            signs = signs | S::select_i(S::lt(value, zero), S::splat_i(1 << i), S::splat_i(0));
        }
        if is_even {
            let halves = signs ^ S::shr::<4>(signs);
            let quarters = halves ^ S::shr::<2>(halves);
            let parity = (quarters ^ S::shr::<1>(quarters)) & S::splat_i(1);
            let is_odd = S::eq_i(parity, S::splat_i(1));
            let mut least = weights[first] * x[first] * x[first];
            let mut cheapest = S::splat_i(1);
            for i in 1..SIGNED {
                let cost = weights[first + i] * x[first + i] * x[first + i];
                let is_less = S::lt(cost, least);
                least = S::select(is_less, cost, least);
                cheapest = S::select_i(is_less, S::splat_i(1 << i), cheapest);
            }
            let cheapest = S::select_i(is_odd, cheapest, S::splat_i(0));
            for i in 0..SIGNED {
                let is_flipped = S::eq_i(cheapest, S::splat_i(1 << i));
                let magnitude = magnitudes[first + i];
                magnitudes[first + i] = S::select(is_flipped, S::neg(magnitude), magnitude);
            }
            signs = (signs ^ cheapest) & S::splat_i(127);
        }
        S::store_bytes(signs, bytes);
    }
    (magnitudes, bytes)
}
