//! Super-blocks in lanes: the part shared by the vector paths of the K types around `search::lanes`.
//!
//! A window of up to sixteen super-blocks is searched with one sub-block per lane, then with one super-block per lane.
//! Blocks may come from several rows: only importance depends on the column.

use std::marker::PhantomData;

use mc_tensor::cpu_path::CpuPath;

use crate::codec::Rows;
use crate::lanes::{Kernel, MAX_LANES, Simd, dispatch};
use crate::search::Walk;
use crate::search::lanes::affine::affine;
use crate::search::lanes::positive::positive;
use crate::search::lanes::symmetric::{descend, symmetric};
use crate::search::lanes::{sum, sum_of_squares, weigh};

/// Number of weights per super-block.
pub(crate) const LEN: usize = 256;
/// Number of super-blocks per window.
pub(crate) const WINDOW: usize = MAX_LANES;
/// Maximum number of sub-blocks per super-block.
pub(crate) const MAX_SUBS: usize = 16;

/// Consecutive super-blocks, or smaller blocks, from rows.
#[derive(Clone, Copy)]
pub(crate) struct Window<'a> {
    /// The weights: whole blocks, at most [`WINDOW`] super-blocks.
    pub(crate) x: &'a [f32],
    /// Importance of all columns.
    pub(crate) importance: Option<&'a [f32]>,
    /// Index of the first weight among all weights.
    first: usize,
    n_cols: usize,
}

/// The windows of rows.
pub(crate) fn windows<'a>(rows: &Rows<'a>) -> impl Iterator<Item = Window<'a>> {
    let Rows { x, n_cols, importance } = *rows;
    x.chunks(WINDOW * LEN).enumerate().map(move |(i, x)| Window {
        x,
        importance,
        first: i * WINDOW * LEN,
        n_cols,
    })
}

/// Encoder of the blocks of a window, `BLOCK_LEN` weights in `BYTES` bytes each; fully `#[inline(always)]`.
pub(crate) trait EncodeWindow<const BLOCK_LEN: usize, const BYTES: usize> {
    /// Encodes the blocks, as the codec's `encode_row` does.
    fn encode<S: Simd>(window: &Window<'_>, blocks: &mut [[u8; BYTES]]);
}

/// Encodes rows on a path, window by window. Returns false if it has no vector code.
pub(crate) fn encode<E: EncodeWindow<BLOCK_LEN, BYTES>, const BLOCK_LEN: usize, const BYTES: usize>(
    path: CpuPath,
    rows: &Rows<'_>,
    out: &mut [u8],
) -> bool {
    dispatch::run(path, Encode::<E, BLOCK_LEN, BYTES> { rows, out, encode: PhantomData })
}

struct Encode<'a, E, const BLOCK_LEN: usize, const BYTES: usize> {
    rows: &'a Rows<'a>,
    out: &'a mut [u8],
    encode: PhantomData<E>,
}

impl<E, const BLOCK_LEN: usize, const BYTES: usize> Kernel for Encode<'_, E, BLOCK_LEN, BYTES>
where
    E: EncodeWindow<BLOCK_LEN, BYTES>,
{
    #[inline(always)]
    fn run<S: Simd>(self) {
        let blocks = self.out.as_chunks_mut::<BYTES>().0;
        for (window, blocks) in windows(self.rows).zip(blocks.chunks_mut(WINDOW * LEN / BLOCK_LEN)) {
            E::encode::<S>(&window, blocks);
        }
    }
}

impl<'a> Window<'a> {
    /// Number of super-blocks.
    pub(crate) fn len(&self) -> usize {
        self.x.len() / LEN
    }

    /// A super-block's weights and importance.
    pub(crate) fn block(&self, block_idx: usize) -> (&'a [f32], Option<&'a [f32]>) {
        let first = block_idx * LEN;
        let col = (self.first + first) % self.n_cols;
        (&self.x[first..][..LEN], self.importance.map(|importance| &importance[col..][..LEN]))
    }

    /// The offsets of the weights and the importance of `S::N` groups of `len`, from a group on; the last group is
    /// repeated for lanes beyond it.
    #[inline(always)]
    pub(crate) fn starts<S: Simd>(
        &self,
        first: usize,
        len: usize,
    ) -> ([usize; MAX_LANES], [usize; MAX_LANES]) {
        let last = self.x.len() - len;
        let (mut starts, mut cols) = ([0; MAX_LANES], [0; MAX_LANES]);
        let mut start = (first * len).min(last);
        let mut col = (self.first + start) % self.n_cols;
        for lane in 0..S::N {
            starts[lane] = start;
            cols[lane] = col;
            if start < last {
                start += len;
                col += len;
            }
            if col == self.n_cols {
                col = 0;
            }
        }
        (starts, cols)
    }

    /// The weights of `S::N` groups of `K`, from a group on; the last group is repeated for lanes beyond it.
    #[inline(always)]
    pub(crate) fn weights<S: Simd, const K: usize>(&self, first: usize) -> [S::F; K] {
        match self.x.get(first * K..(first + S::N) * K) {
            Some(x) => S::groups::<K>(x),
            None => S::columns::<K>(self.x, &self.starts::<S>(first, K).0),
        }
    }

    /// The importance of these groups; `importance` is that of all columns.
    #[inline(always)]
    pub(crate) fn importance_of<S: Simd, const K: usize>(
        &self,
        importance: &[f32],
        first: usize,
    ) -> [S::F; K] {
        let col = (self.first + first * K) % self.n_cols;
        match importance.get(col..col + S::N * K) {
            Some(importance) if (first + S::N) * K <= self.x.len() => S::groups::<K>(importance),
            _ => S::columns::<K>(importance, &self.starts::<S>(first, K).1),
        }
    }

    /// The row of one of the weights.
    #[inline(always)]
    pub(crate) fn row(&self, start: usize) -> usize {
        (self.first + start) / self.n_cols
    }

    /// The sum of squares of every super-block, in order.
    #[inline(always)]
    pub(crate) fn sums_of_squares<S: Simd>(&self) -> [f32; WINDOW] {
        let mut sums = [0.0; WINDOW];
        for first in (0..self.len()).step_by(S::N) {
            let (starts, _) = self.starts::<S>(first, LEN);
            let mut sum = S::splat(0.0);
            for at in (0..LEN).step_by(16) {
                let x = S::columns::<16>(&self.x[at..], &starts);
                for value in x {
                    sum = sum + value * value;
                }
            }
            S::store(sum, &mut sums[first..]);
        }
        sums
    }
}

/// The results of the searches of a window, by sub-block, in order.
pub(crate) struct Found {
    pub(crate) scales: [f32; WINDOW * MAX_SUBS],
    pub(crate) mins: [f32; WINDOW * MAX_SUBS],
    pub(crate) weights: [f32; WINDOW * MAX_SUBS],
}

/// Weighting of errors in sub-blocks.
#[derive(Clone, Copy)]
pub(crate) enum Weighting {
    /// By magnitude.
    Magnitude,
    /// By the root mean square plus magnitude.
    MeanAndMagnitude,
    /// By the square.
    Square,
    /// By importance only.
    Importance,
    /// By importance, with the super-block's mean square times a factor.
    ImportanceAndMean(f32),
}

/// Number of registers of sub-blocks searched in parallel, so that the sums of one do not wait for those of another.
const AFFINE_GROUPS: usize = 4;
const SYMMETRIC_GROUPS: usize = 1;
const DESCEND_GROUPS: usize = 4;

/// Numbers of `G` registers of sub-blocks.
type Groups<S, const N: usize, const G: usize> = [[<S as Simd>::F; N]; G];

/// Loads the weights of `G` registers of sub-blocks, from a sub-block on, and the weight of each error.
#[inline(always)]
fn load<S: Simd, const N: usize, const G: usize>(
    window: &Window<'_>,
    weighting: Weighting,
    sums_of_squares: &[f32; WINDOW],
    first: usize,
) -> (Groups<S, N, G>, Groups<S, N, G>) {
    let zeros = [[S::splat(0.0); N]; G];
    let (mut x, mut weights) = (zeros, zeros);
    for g in 0..G {
        let first = first + g * S::N;
        x[g] = window.weights::<S, N>(first);
        weights[g] = match (weighting, window.importance) {
            (Weighting::Importance, Some(importance)) => window.importance_of::<S, N>(importance, first),
            (Weighting::ImportanceAndMean(factor), Some(importance)) => {
                let importance = window.importance_of::<S, N>(importance, first);
                let mut sigma2 = [0.0; MAX_LANES];
                for (lane, sigma2) in sigma2.iter_mut().enumerate() {
                    let block_idx = ((first + lane) * N / LEN).min(WINDOW - 1);
                    *sigma2 = factor * sums_of_squares[block_idx] / LEN as f32;
                }
                weigh::<S, N>(&x[g], &importance, S::load(&sigma2))
            }
            (Weighting::MeanAndMagnitude, _) => {
                let mean = S::sqrt(sum_of_squares::<S, N>(&x[g]) / S::splat(N as f32));
                let mut weights = x[g];
                for weight in &mut weights {
                    *weight = mean + S::abs(*weight);
                }
                weights
            }
            (Weighting::Square, _) => {
                let mut weights = x[g];
                for weight in &mut weights {
                    *weight = *weight * *weight;
                }
                weights
            }
            _ => {
                let mut weights = x[g];
                for weight in &mut weights {
                    *weight = S::abs(*weight);
                }
                weights
            }
        };
    }
    (x, weights)
}

/// The sums of squares that a weighting needs.
#[inline(always)]
fn sums_for<S: Simd>(window: &Window<'_>, weighting: Weighting) -> [f32; WINDOW] {
    match weighting {
        Weighting::ImportanceAndMean(_) => window.sums_of_squares::<S>(),
        _ => [0.0; WINDOW],
    }
}

const NOTHING: Found = Found {
    scales: [0.0; WINDOW * MAX_SUBS],
    mins: [0.0; WINDOW * MAX_SUBS],
    weights: [0.0; WINDOW * MAX_SUBS],
};

/// Scales and minima of all sub-blocks of a window.
#[inline(always)]
pub(crate) fn affine_subs<S: Simd, const SUB_LEN: usize>(
    window: &Window<'_>,
    weighting: Weighting,
    walk: Walk,
) -> Found {
    const { assert!(LEN / SUB_LEN <= MAX_SUBS) };
    let mut found = NOTHING;
    let sums = sums_for::<S>(window, weighting);
    for first in (0..window.x.len() / SUB_LEN).step_by(AFFINE_GROUPS * S::N) {
        let (x, weights) = load::<S, SUB_LEN, AFFINE_GROUPS>(window, weighting, &sums, first);
        let subs = affine::<S, SUB_LEN, AFFINE_GROUPS>(&x, &weights, walk);
        for g in 0..AFFINE_GROUPS {
            let first = first + g * S::N;
            S::store(subs[g].scale, &mut found.scales[first..]);
            S::store(subs[g].min, &mut found.mins[first..]);
            if matches!(weighting, Weighting::ImportanceAndMean(_)) {
                S::store(sum::<S, SUB_LEN>(&weights[g]), &mut found.weights[first..]);
            }
        }
    }
    found
}

/// Scales of all sub-blocks of a window for signed codes.
#[inline(always)]
pub(crate) fn symmetric_subs<S: Simd, const SUB_LEN: usize>(
    window: &Window<'_>,
    weighting: Weighting,
    n_max: i32,
) -> Found {
    const { assert!(LEN / SUB_LEN <= MAX_SUBS) };
    let mut found = NOTHING;
    let sums = sums_for::<S>(window, weighting);
    for first in (0..window.x.len() / SUB_LEN).step_by(SYMMETRIC_GROUPS * S::N) {
        let (x, weights) = load::<S, SUB_LEN, SYMMETRIC_GROUPS>(window, weighting, &sums, first);
        let scales = symmetric::<S, SUB_LEN, SYMMETRIC_GROUPS>(&x, n_max, &weights);
        for g in 0..SYMMETRIC_GROUPS {
            let first = first + g * S::N;
            S::store(scales[g].scale, &mut found.scales[first..]);
            if matches!(weighting, Weighting::ImportanceAndMean(_)) {
                S::store(sum::<S, SUB_LEN>(&weights[g]), &mut found.weights[first..]);
            }
        }
    }
    found
}

/// Scales of all sub-blocks of a window for signed codes, by [`descend`].
#[inline(always)]
pub(crate) fn descend_subs<S: Simd, const SUB_LEN: usize>(window: &Window<'_>, n_max: i32) -> Found {
    const { assert!(LEN / SUB_LEN <= MAX_SUBS) };
    let mut found = NOTHING;
    let sums = [0.0; WINDOW];
    for first in (0..window.x.len() / SUB_LEN).step_by(DESCEND_GROUPS * S::N) {
        let (x, _) = load::<S, SUB_LEN, DESCEND_GROUPS>(window, Weighting::Square, &sums, first);
        let scales = descend::<S, SUB_LEN, DESCEND_GROUPS>(&x, n_max);
        for (g, scales) in scales.into_iter().enumerate() {
            S::store(scales, &mut found.scales[first + g * S::N..]);
        }
    }
    found
}

/// The scale and the codes `0..=n_max` of the numbers of every super-block's `N` sub-blocks.
pub(crate) type BlockScales<const N: usize> = ([f32; WINDOW], [[u8; N]; WINDOW]);

/// One scale for the scales and one for the minima of every super-block's `N` sub-blocks.
#[inline(always)]
pub(crate) fn positive_blocks<S: Simd, const N: usize>(
    subs: &Found,
    n_max: i32,
    n_blocks: usize,
) -> [BlockScales<N>; 2] {
    let mut blocks = [([0.0; WINDOW], [[0; N]; WINDOW]); 2];
    for first in (0..n_blocks).step_by(S::N) {
        let starts = block_starts(first, N);
        let x = [S::columns::<N>(&subs.scales, &starts), S::columns::<N>(&subs.mins, &starts)];
        let weights = S::columns::<N>(&subs.weights, &starts);
        let (scales, codes) = positive::<S, N, 2>(&x, n_max, &[weights; 2]);
        for g in 0..2 {
            S::store(scales[g], &mut blocks[g].0[first..]);
            store_codes::<S, N>(&codes[g], &mut blocks[g].1[first..]);
        }
    }
    blocks
}

/// The offsets of the numbers of `S::N` super-blocks, from a super-block on.
#[inline(always)]
pub(crate) fn block_starts(first: usize, n_subs: usize) -> [usize; MAX_LANES] {
    let mut starts = [0; MAX_LANES];
    for (lane, start) in starts.iter_mut().enumerate() {
        *start = (first + lane).min(WINDOW - 1) * n_subs;
    }
    starts
}

/// Writes the lower bytes of numbers with one super-block per lane.
#[inline(always)]
pub(crate) fn store_codes<S: Simd, const N: usize>(codes: &[S::I; N], blocks: &mut [[u8; N]]) {
    let mut bytes = [[0; MAX_LANES]; N];
    for i in 0..N {
        S::store_bytes(codes[i], &mut bytes[i]);
    }
    for (lane, block) in blocks[..S::N].iter_mut().enumerate() {
        for i in 0..N {
            block[i] = bytes[i][lane];
        }
    }
}

/// The codes of a sub-block under its stored scale and minimum; the scale is not zero.
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

/// The codes of a sub-block under its stored scale, `-n_max..n_max` stored as `0..2 n_max`; the scale is not zero.
#[inline(always)]
pub(crate) fn signed_codes<S: Simd, const SUB_LEN: usize>(
    x: &[f32; SUB_LEN],
    scale: f32,
    n_max: i32,
    codes: &mut [u8; SUB_LEN],
) {
    for first in (0..SUB_LEN).step_by(S::N) {
        let code = S::nearest_int(S::load(&x[first..]) / S::splat(scale));
        let code = S::clamp_i(code, -n_max, n_max - 1) + S::splat_i(n_max);
        S::store_bytes(code, &mut codes[first..]);
    }
}
