//! Two codes per byte, that of the even column in the lower half. Shared by packings; not a packing.

use mc_tensor::dtype::DType;

use crate::grids::grid::{Grid, Group};
use crate::packings::packing::{PlaneRow, planes};

/// Returns true if the grid has no bias and signed four-bit codes, an even number per group.
pub(crate) fn accepts(grid: &Grid) -> bool {
    let is_even = matches!(grid.group, Group::Columns(len) if len.is_multiple_of(2));
    is_even && !grid.has_bias && grid.codes.0 >= -8 && grid.codes.1 <= 7
}

/// U8 `[rows, columns / 2]`, then the scales.
pub(crate) fn planes_of(grid: &Grid, n_cols: usize, scales: DType) -> Vec<PlaneRow> {
    planes(PlaneRow { name: "weight", dtype: DType::U8, n_cols: n_cols / 2 }, grid, n_cols, scales)
}

/// Joins the nibbles of the codes.
pub(crate) fn join(codes: &[i32], out: &mut [u8], nibble: impl Fn(i32) -> u8) {
    for (byte, [even, odd]) in out.iter_mut().zip(codes.as_chunks::<2>().0) {
        *byte = nibble(*even) | nibble(*odd) << 4;
    }
}

/// Splits the nibbles.
pub(crate) fn part(bytes: &[u8], codes: &mut [i32], code: impl Fn(u8) -> i32) {
    for ([even, odd], byte) in codes.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
        (*even, *odd) = (code(byte & 15), code(byte >> 4));
    }
}
