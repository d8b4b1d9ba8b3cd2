//! Matrix products `X * W^T` with weights that may still be encoded.
//!
//! Work is split into tiles of weight rows. A tile is decoded to f32 once and multiplied with every token, four tokens
//! by several rows at a time, so the memory beyond the result is one tile per thread. The assignment of tiles to
//! threads does not matter: every element of the result is one dot product of [`crate::lanes`].

use std::borrow::Cow;

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use crate::kernel::cpu_path;
use crate::kernel::products::{Products, Rows};
use crate::lanes;
use crate::weight::Weight;
use mc_tensor::cpu_path::CpuPath;

/// Size of a decoded tile in floats: 256 KiB, so that it stays in the second-level cache.
const TILE_LEN: usize = 64 * 1024;

/// The rows of a tile are a multiple of this, the maximum number of rows that a kernel processes at once.
const ROW_GROUP: usize = 4;

/// Number of multiply-adds below which distributing work to threads costs more than it saves.
const MIN_PARALLEL: usize = 128 * 1024;

/// `X * W^T`, every element a dot product in sixteen lanes.
///
/// * `input`: `[n_tokens, n_columns]`, row-major, at least one token
/// * `weight`: `[n_rows, n_columns]`
/// * returns `[n_tokens, n_rows]`, row-major
pub(crate) fn matmul(path: CpuPath, input: &[f32], weight: &Weight) -> Vec<f32> {
    let (n_rows, n_columns) = (weight.n_rows(), weight.n_columns());
    let n_tokens = input.len() / n_columns;
    let padded_len = lanes::padded(n_columns);
    let input = pad_rows(input, n_columns);
    let rows_per_tile = rows_per_tile(n_rows, padded_len);
    let multiply = |scratch: &mut Vec<f32>, tile: usize, out: &mut [f32]| {
        let first = tile * rows_per_tile;
        let rows = weight.padded_rows(first..first + out.len() / n_tokens, scratch);
        let left = Rows { values: &input, padded_len };
        cpu_path::run(path, Products { left, right: Rows { values: rows, padded_len }, out });
    };
    // A tile owns a range of the transposed result, which is transposed at the end.
    let mut transposed = vec![0f32; n_tokens * n_rows];
    let stretch = rows_per_tile * n_tokens;
    if n_tokens * n_rows * n_columns < MIN_PARALLEL {
        let mut scratch = Vec::new();
        for (tile, out) in transposed.chunks_mut(stretch).enumerate() {
            multiply(&mut scratch, tile, out);
        }
    } else {
        let tiles = transposed.par_chunks_mut(stretch).enumerate();
        tiles.for_each_init(Vec::new, |scratch, (tile, out)| multiply(scratch, tile, out));
    }
    if n_tokens == 1 { transposed } else { transpose(&transposed, n_rows, n_tokens) }
}

/// A number of rows small enough that a tile fits the cache and every thread gets several tiles.
fn rows_per_tile(n_rows: usize, padded_len: usize) -> usize {
    let fitting = TILE_LEN / padded_len;
    let shared = n_rows.div_ceil(4 * rayon::current_num_threads());
    fitting.min(shared).next_multiple_of(ROW_GROUP)
}

/// The rows, each padded with zeros to whole lanes.
pub(crate) fn pad_rows(values: &[f32], n_columns: usize) -> Cow<'_, [f32]> {
    let padded_len = lanes::padded(n_columns);
    if padded_len == n_columns {
        return Cow::Borrowed(values);
    }
    let mut out = Vec::with_capacity(values.len() / n_columns * padded_len);
    for row in values.chunks_exact(n_columns) {
        out.extend_from_slice(row);
        out.resize(out.len() + padded_len - n_columns, 0.0);
    }
    Cow::Owned(out)
}

/// `[n_rows, n_columns]` to `[n_columns, n_rows]`.
pub(crate) fn transpose(values: &[f32], n_rows: usize, n_columns: usize) -> Vec<f32> {
    /// Number of columns transposed at once: one cache line of the source.
    const STRIP: usize = 16;
    let mut out = vec![0f32; values.len()];
    let turn = |(strip, out): (usize, &mut [f32])| {
        for (row, values) in values.chunks_exact(n_columns).enumerate() {
            let columns = &values[strip * STRIP..n_columns.min((strip + 1) * STRIP)];
            for (column, value) in columns.iter().enumerate() {
                out[column * n_rows + row] = *value;
            }
        }
    };
    if values.len() < MIN_PARALLEL / 8 {
        out.chunks_mut(STRIP * n_rows).enumerate().for_each(turn);
    } else {
        out.par_chunks_mut(STRIP * n_rows).enumerate().for_each(turn);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};

    use super::*;

    fn numbers(n: usize, seed: usize) -> Vec<f32> {
        (0..n).map(|i| ((i + seed) * 7919 % 1009) as f32 / 401.0 - 1.25).collect()
    }

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|value| value.to_bits()).collect()
    }

    #[test]
    fn transposing_twice_changes_nothing() {
        let values = numbers(5 * 37, 1);
        assert_eq!(transpose(&transpose(&values, 5, 37), 37, 5), values);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn every_path_and_every_split_gives_the_same_bits(
            n_tokens in 1usize..11, n_rows in 1usize..90, n_columns in 1usize..140, seed in 0usize..1000
        ) {
            let input = numbers(n_tokens * n_columns, seed);
            let weight = Weight::from_f32(vec![n_rows, n_columns], numbers(n_rows * n_columns, seed + 7)).unwrap();
            let expected = bits(&matmul(CpuPath::BASELINE, &input, &weight));
            for path in CpuPath::available() {
                prop_assert_eq!(&bits(&matmul(path, &input, &weight)), &expected, "{}", path.name());
                let one_by_one: Vec<u32> =
                    input.chunks(n_columns).flat_map(|row| bits(&matmul(path, row, &weight))).collect();
                prop_assert_eq!(&one_by_one, &expected, "{}", path.name());
            }
        }
    }
}
