//! Two codes per byte, that of the even column in the lower half. Shared by packings; not a packing.

use mc_tensor::dtype::DType;

use crate::grids::grid::{Grid, Group, Offset};
use crate::grids::scales::ScaleFormat;
use crate::packings::packing::{PlaneRow, planes};

/// Returns true if the grid has integers of four bits as codes, an even number per group, and no bias.
pub(crate) fn accepts(grid: &Grid) -> bool {
    let is_even = match grid.group {
        Group::Columns(len) => len.is_multiple_of(2),
        Group::Row => true,
    };
    let is_float = grid.scale_dtype(DType::F32) == DType::U8;
    is_even && grid.offset != Offset::Bias && grid.bits == 4 && !is_float
}

/// U8 `[rows, columns / 2]`, then the scales.
pub(crate) fn planes_of(grid: &Grid, n_cols: usize, scales: ScaleFormat) -> Vec<PlaneRow> {
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
