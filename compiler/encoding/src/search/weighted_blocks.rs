//! Blocks of 32 weights, with and without importance: the common loop of Q4_0, Q4_1, Q5_0 and Q5_1.
//!
//! With importance, in lanes, a batch of up to sixteen rows is read with one row per lane, to get the mean square that
//! weights the errors in a row's blocks, and then window by window with one block per lane.

use std::marker::PhantomData;

use mc_tensor::cpu_path::CpuPath;

use crate::codec::Rows;
use crate::lanes::blocks::{self, EncodeBlocks};
use crate::lanes::{Kernel, MAX_LANES, Simd, dispatch};
use crate::rows::encode_blocks;
use crate::search::lanes::affine::affine;
use crate::search::lanes::symmetric::symmetric;
use crate::search::lanes::weigh;
use crate::search::super_blocks::{self, Window};
use crate::search::{self, Walk, sum_of_squares};

/// Number of weights per block.
const LEN: usize = 32;
/// Maximum number of blocks per window.
const WINDOW: usize = super_blocks::WINDOW * super_blocks::LEN / LEN;

/// Number of registers of blocks searched in parallel.
const GROUPS: usize = 4;

/// The mean square of every row of a batch.
pub(crate) type Means = [f32; MAX_LANES];

/// Encoder of blocks of `BYTES`, with and without importance.
pub(crate) trait Encode<const BYTES: usize>: EncodeBlocks<LEN, BYTES> {
    /// Encodes a block with equally weighted errors.
    fn encode_plain(x: &[f32; LEN], block: &mut [u8; BYTES]);

    /// Encodes a block with errors weighted by `weights`.
    fn encode_weighted(x: &[f32; LEN], weights: &[f32; LEN], block: &mut [u8; BYTES]);

    /// Searches the blocks of a window; `importance` is that of all columns. `#[inline(always)]`.
    fn search<S: Simd>(window: &Window<'_>, importance: &[f32], means: &Means) -> Found;

    /// Writes a block of the window. `#[inline(always)]`.
    fn write<S: Simd>(found: &Found, block_idx: usize, x: &[f32; LEN], block: &mut [u8; BYTES]);
}

/// Encodes a row, one block after another.
pub(crate) fn encode_row<E: Encode<BYTES>, const BYTES: usize>(
    row: &[f32],
    importance: Option<&[f32]>,
    out: &mut [u8],
) {
    // Only needed with importance.
    let sigma2 = importance.map_or(0.0, |_| sum_of_squares(row) / row.len() as f32);
    encode_blocks(row, importance, out, |x, importance, block| match importance {
        Some(importance) => E::encode_weighted(x, &search::weigh(x, importance, sigma2), block),
        None => E::encode_plain(x, block),
    });
}

/// Encodes rows on a path. Returns false if it has no vector code.
pub(crate) fn encode<E: Encode<BYTES>, const BYTES: usize>(
    path: CpuPath,
    rows: &Rows<'_>,
    out: &mut [u8],
) -> bool {
    match rows.importance {
        None => blocks::encode::<E, LEN, BYTES>(path, rows, out),
        Some(importance) => {
            dispatch::run(path, Weighted::<E, BYTES> { rows, importance, out, encode: PhantomData })
        }
    }
}

struct Weighted<'a, E, const BYTES: usize> {
    rows: &'a Rows<'a>,
    importance: &'a [f32],
    out: &'a mut [u8],
    encode: PhantomData<E>,
}

impl<E: Encode<BYTES>, const BYTES: usize> Kernel for Weighted<'_, E, BYTES> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let mut blocks = self.out.as_chunks_mut::<BYTES>().0.iter_mut();
        for batch in batches(self.rows) {
            let means = mean_squares::<S>(&batch);
            for window in super_blocks::windows(&batch) {
                let found = E::search::<S>(&window, self.importance, &means);
                let x = window.x.as_chunks::<LEN>().0;
                for (block_idx, (x, block)) in x.iter().zip(&mut blocks).enumerate() {
                    E::write::<S>(&found, block_idx, x, block);
                }
            }
        }
    }
}

/// The rows in batches.
fn batches<'a>(rows: &Rows<'a>) -> impl Iterator<Item = Rows<'a>> {
    let rows = *rows;
    rows.x.chunks(MAX_LANES * rows.n_cols).map(move |x| Rows { x, ..rows })
}

#[inline(always)]
fn mean_squares<S: Simd>(batch: &Rows<'_>) -> Means {
    let n_rows = batch.x.len() / batch.n_cols;
    let mut means = [0.0; MAX_LANES];
    for first in (0..n_rows).step_by(S::N) {
        let mut starts = [0; MAX_LANES];
        for (lane, start) in starts.iter_mut().enumerate() {
            *start = (first + lane).min(n_rows - 1) * batch.n_cols;
        }
        let mut sum = S::splat(0.0);
        for at in (0..batch.n_cols).step_by(LEN) {
            for value in S::columns::<LEN>(&batch.x[at..], &starts) {
                sum = sum + value * value;
            }
        }
        S::store(sum / S::splat(batch.n_cols as f32), &mut means[first..]);
    }
    means
}

/// The results of searches for the blocks of a window.
pub(crate) struct Found {
    pub(crate) scales: [f32; WINDOW],
    /// The minima, for searches of a scale and a minimum.
    pub(crate) mins: [f32; WINDOW],
    /// The codes are `inverse * (x - origin)`, rounded and limited.
    inverses: [f32; WINDOW],
    origins: [f32; WINDOW],
    /// Added to signed codes.
    offsets: [i32; WINDOW],
}

const NOTHING: Found = Found {
    scales: [0.0; WINDOW],
    mins: [0.0; WINDOW],
    inverses: [0.0; WINDOW],
    origins: [0.0; WINDOW],
    offsets: [0; WINDOW],
};

impl Found {
    /// The codes `0..=n_max` of a block, as in [`crate::search::affine`].
    #[inline(always)]
    pub(crate) fn affine_codes<S: Simd>(&self, block_idx: usize, x: &[f32; LEN], n_max: i32) -> [u8; LEN] {
        let (inverse, origin) = (S::splat(self.inverses[block_idx]), S::splat(self.origins[block_idx]));
        let mut codes = [0; LEN];
        for first in (0..LEN).step_by(S::N) {
            let code = S::nearest_int(inverse * (S::load(&x[first..]) - origin));
            S::store_bytes(S::clamp_i(code, 0, n_max), &mut codes[first..]);
        }
        codes
    }

    /// The codes `0..2 n_max` of a block, as in [`crate::search::symmetric`].
    #[inline(always)]
    pub(crate) fn signed_codes<S: Simd>(&self, block_idx: usize, x: &[f32; LEN], n_max: i32) -> [u8; LEN] {
        let inverse = S::splat(self.inverses[block_idx]);
        let offset = S::splat_i(self.offsets[block_idx]);
        let mut codes = [0; LEN];
        for first in (0..LEN).step_by(S::N) {
            let code = S::clamp_i(S::nearest_int(inverse * S::load(&x[first..])), -n_max, n_max - 1);
            S::store_bytes(code + offset, &mut codes[first..]);
        }
        codes
    }
}

/// The blocks from one on, in `GROUPS` registers.
struct Loaded<S: Simd> {
    x: [[S::F; LEN]; GROUPS],
    weights: [[S::F; LEN]; GROUPS],
}

#[inline(always)]
fn load<S: Simd>(window: &Window<'_>, importance: &[f32], means: &Means, first: usize) -> Loaded<S> {
    let zeros = [[S::splat(0.0); LEN]; GROUPS];
    let (mut x, mut weights) = (zeros, zeros);
    for g in 0..GROUPS {
        let first = first + g * S::N;
        let mut sigma2 = [0.0; MAX_LANES];
        for (lane, sigma2) in sigma2.iter_mut().enumerate() {
            *sigma2 = means[window.row((first + lane) * LEN).min(MAX_LANES - 1)];
        }
        x[g] = window.weights::<S, LEN>(first);
        let importance = window.importance_of::<S, LEN>(importance, first);
        weights[g] = weigh::<S, LEN>(&x[g], &importance, S::load(&sigma2));
    }
    Loaded { x, weights }
}

/// Scales and minima of the blocks of a window.
#[inline(always)]
pub(crate) fn affine_blocks<S: Simd>(
    window: &Window<'_>,
    importance: &[f32],
    means: &Means,
    walk: Walk,
) -> Found {
    let mut blocks = NOTHING;
    for first in (0..window.x.len() / LEN).step_by(GROUPS * S::N) {
        let Loaded { x, weights } = load::<S>(window, importance, means, first);
        for (g, found) in affine::<S, LEN, GROUPS>(&x, &weights, walk).into_iter().enumerate() {
            let first = first + g * S::N;
            S::store(found.scale, &mut blocks.scales[first..]);
            S::store(found.min, &mut blocks.mins[first..]);
            S::store(found.inverse, &mut blocks.inverses[first..]);
            S::store(found.origin, &mut blocks.origins[first..]);
        }
    }
    blocks
}

/// Scales of the blocks of a window for signed codes.
#[inline(always)]
pub(crate) fn symmetric_blocks<S: Simd>(
    window: &Window<'_>,
    importance: &[f32],
    means: &Means,
    n_max: i32,
) -> Found {
    let mut blocks = NOTHING;
    for first in (0..window.x.len() / LEN).step_by(GROUPS * S::N) {
        let Loaded { x, weights } = load::<S>(window, importance, means, first);
        for (g, found) in symmetric::<S, LEN, GROUPS>(&x, n_max, &weights).into_iter().enumerate() {
            let first = first + g * S::N;
            S::store(found.scale, &mut blocks.scales[first..]);
            S::store(found.inverse, &mut blocks.inverses[first..]);
            S::store_i(found.offset, &mut blocks.offsets[first..]);
        }
    }
    blocks
}
