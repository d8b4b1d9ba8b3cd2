//! Super-blocks in lanes: what the vector paths of the K types share around [`crate::search_lanes`].
//!
//! A window of up to sixteen super-blocks is searched with a sub-block in every lane, then with a super-block in every
//! lane. Blocks may come from several rows: only importance depends on the column.

use crate::codec::Rows;
use crate::lanes::{MAX_LANES, Simd};
use crate::search::Walk;
use crate::search_lanes::{affine, positive, sum, sum_of_squares, weigh};

/// Weights of a super-block.
pub(crate) const LEN: usize = 256;
/// Super-blocks of a window.
pub(crate) const WINDOW: usize = MAX_LANES;
/// The most sub-blocks of a super-block.
pub(crate) const MAX_SUBS: usize = 16;

/// Consecutive super-blocks of some rows.
#[derive(Clone, Copy)]
pub(crate) struct Window<'a> {
    /// The weights, whole super-blocks, at most [`WINDOW`].
    pub(crate) x: &'a [f32],
    /// Importance of all columns.
    pub(crate) importance: Option<&'a [f32]>,
    /// The column of the first weight.
    first_col: usize,
    n_cols: usize,
}

/// The windows of some rows.
pub(crate) fn windows<'a>(rows: &Rows<'a>) -> impl Iterator<Item = Window<'a>> {
    let Rows { x, n_cols, importance } = *rows;
    x.chunks(WINDOW * LEN).enumerate().map(move |(i, x)| Window {
        x,
        importance,
        first_col: i * WINDOW * LEN % n_cols,
        n_cols,
    })
}

impl<'a> Window<'a> {
    /// How many super-blocks.
    pub(crate) fn len(&self) -> usize {
        self.x.len() / LEN
    }

    /// A super-block's weights and importance.
    pub(crate) fn block(&self, block_idx: usize) -> (&'a [f32], Option<&'a [f32]>) {
        let first = block_idx * LEN;
        let col = (self.first_col + first) % self.n_cols;
        (&self.x[first..][..LEN], self.importance.map(|importance| &importance[col..][..LEN]))
    }

    /// Where the weights and the importance of `S::N` groups of `len` begin, from a group on; the last one stands in
    /// for groups behind it.
    #[inline(always)]
    fn starts<S: Simd>(&self, first: usize, len: usize) -> ([usize; MAX_LANES], [usize; MAX_LANES]) {
        let last = self.x.len() / len - 1;
        let (mut starts, mut cols) = ([0; MAX_LANES], [0; MAX_LANES]);
        for lane in 0..S::N {
            starts[lane] = (first + lane).min(last) * len;
            cols[lane] = (self.first_col + starts[lane]) % self.n_cols;
        }
        (starts, cols)
    }

    /// The sum of squares of every super-block, in order.
    #[inline(always)]
    pub(crate) fn sums_of_squares<S: Simd>(&self) -> [f32; WINDOW] {
        let mut sums = [0.0; WINDOW];
        for first in (0..self.len()).step_by(S::N) {
            let (starts, _) = self.starts::<S>(first, LEN);
            let mut sum = S::splat(0.0);
            for at in (0..LEN).step_by(16) {
                let x = S::columns::<16>(&self.x[at..], &starts.map(|start| start));
                for value in x {
                    sum = sum + value * value;
                }
            }
            S::store(sum, &mut sums[first..]);
        }
        sums
    }
}

/// What the searches of a window found, for every sub-block and in its order.
pub(crate) struct Found {
    pub(crate) scales: [f32; WINDOW * MAX_SUBS],
    pub(crate) mins: [f32; WINDOW * MAX_SUBS],
    pub(crate) weights: [f32; WINDOW * MAX_SUBS],
}

/// How sub-blocks are weighted.
#[derive(Clone, Copy)]
pub(crate) enum Weighting {
    /// By magnitude.
    Magnitude,
    /// By the root of the mean square plus magnitude.
    MeanAndMagnitude,
    /// By importance, with so many times the super-block's mean square.
    Importance(f32),
}

/// Scales and minima of all sub-blocks of a window.
#[inline(always)]
pub(crate) fn affine_subs<S: Simd, const SUB_LEN: usize>(
    window: &Window<'_>,
    weighting: Weighting,
    walk: Walk,
) -> Found {
    const { assert!(LEN / SUB_LEN <= MAX_SUBS) };
    let zeros = [0.0; WINDOW * MAX_SUBS];
    let mut found = Found { scales: zeros, mins: zeros, weights: zeros };
    let n_subs = window.x.len() / SUB_LEN;
    let sums = match weighting {
        Weighting::Importance(_) => window.sums_of_squares::<S>(),
        _ => [0.0; WINDOW],
    };
    for first in (0..n_subs).step_by(S::N) {
        let (starts, cols) = window.starts::<S>(first, SUB_LEN);
        let x = S::columns::<SUB_LEN>(window.x, &starts);
        let weights = match (weighting, window.importance) {
            (Weighting::Importance(factor), Some(importance)) => {
                let importance = S::columns::<SUB_LEN>(importance, &cols);
                let mut sigma2 = [0.0; MAX_LANES];
                for lane in 0..S::N {
                    sigma2[lane] = factor * sums[starts[lane] / LEN] / LEN as f32;
                }
                weigh::<S, SUB_LEN>(&x, &importance, S::load(&sigma2))
            }
            (Weighting::MeanAndMagnitude, _) => {
                let mean = S::sqrt(sum_of_squares::<S, SUB_LEN>(&x) / S::splat(SUB_LEN as f32));
                let mut weights = x;
                for weight in &mut weights {
                    *weight = mean + S::abs(*weight);
                }
                weights
            }
            _ => {
                let mut weights = x;
                for weight in &mut weights {
                    *weight = S::abs(*weight);
                }
                weights
            }
        };
        let (scales, mins) = affine::<S, SUB_LEN>(&x, &weights, walk);
        S::store(scales, &mut found.scales[first..]);
        S::store(mins, &mut found.mins[first..]);
        if matches!(weighting, Weighting::Importance(_)) {
            S::store(sum::<S, SUB_LEN>(&weights), &mut found.weights[first..]);
        }
    }
    found
}

/// One scale for the numbers of every super-block's `N` sub-blocks, and their codes `0..=n_max`.
#[inline(always)]
pub(crate) fn positive_blocks<S: Simd, const N: usize>(
    values: &[f32; WINDOW * MAX_SUBS],
    weights: &[f32; WINDOW * MAX_SUBS],
    n_max: i32,
    n_blocks: usize,
) -> ([f32; WINDOW], [[u8; N]; WINDOW]) {
    let (mut scales, mut codes) = ([0.0; WINDOW], [[0; N]; WINDOW]);
    for first in (0..n_blocks).step_by(S::N) {
        let mut starts = [0; MAX_LANES];
        for (lane, start) in starts.iter_mut().enumerate() {
            *start = (first + lane).min(WINDOW - 1) * N;
        }
        let x = S::columns::<N>(values, &starts);
        let w = S::columns::<N>(weights, &starts);
        let (scale, found) = positive::<S, N>(&x, n_max, &w);
        S::store(scale, &mut scales[first..]);
        let mut bytes = [0; MAX_LANES];
        for (i, found) in found.into_iter().enumerate() {
            S::store_bytes(found, &mut bytes);
            for (codes, byte) in codes[first..].iter_mut().zip(&bytes[..S::N]) {
                codes[i] = *byte;
            }
        }
    }
    (scales, codes)
}

/// The codes of a sub-block under its scale and minimum as they are stored; the scale is not zero.
#[inline(always)]
pub(crate) fn affine_codes<S: Simd, const SUB_LEN: usize>(
    x: &[f32; SUB_LEN],
    scale: f32,
    min: f32,
    n_max: i32,
    codes: &mut [u8; SUB_LEN],
) {
    for first in (0..SUB_LEN).step_by(S::N) {
        let quotient = (S::load(&x[first..]) + S::splat(min)) / S::splat(scale);
        S::store_bytes(S::clamp_i(S::nearest_int(quotient), 0, n_max), &mut codes[first..]);
    }
}
