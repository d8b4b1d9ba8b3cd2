//! `offset-nibbles`: `weight` U8 `[rows, columns / 2]` with a code in each half of a byte, the even column lower,
//! `scales` `[rows, groups]` and, on grids with zero points, `zero-points` U8 `[rows, ceil(groups / 2)]`. 8 is added to
//! signed codes.
//!
//! These are the bytes of ONNX's `MatMulNBits`, whose default zero point is 8, and, read as I32 words, of
//! compressed-tensors' `pack-quantized`.

use crate::grids::grid::Grid;
use crate::packings::nibbles;
use crate::packings::packing::{Packing, pack_groups, unpack_groups};

/// The packing.
pub static PACKING: Packing = Packing {
    name: "offset-nibbles",
    version: 1,
    accepts: nibbles::accepts,
    planes: nibbles::planes_of,
    pack: |grid, row, scales, planes| {
        let offset = offset(grid);
        nibbles::join(&row.codes, planes[0], |code| (code + offset) as u8);
        pack_groups(grid, row, scales, planes);
    },
    unpack: |grid, planes, scales, row| {
        let offset = offset(grid);
        nibbles::part(planes[0], &mut row.codes, |nibble| i32::from(nibble) - offset);
        unpack_groups(grid, planes, scales, row);
    },
};

/// Added to each code.
fn offset(grid: &Grid) -> i32 {
    if grid.codes.0 < 0 { 8 } else { 0 }
}
