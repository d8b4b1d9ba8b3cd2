//! `offset-bytes`: `weight` U8 `[rows, columns]` with one code per byte, `scales` `[rows, groups]` and, on grids with
//! zero points, `zero-points` U8 `[rows, groups]`. 128 is added to signed codes.
//!
//! These are the bytes of ONNX's `MatMulNBits` with 8 bits, whose default zero point is 128.

use mc_tensor::dtype::DType;

use crate::grids::grid::{Grid, Offset};
use crate::grids::scales::ScaleFormat;
use crate::packings::packing::{Packing, PlaneRow, pack_groups, planes, unpack_groups};

/// The packing.
pub static PACKING: Packing = Packing {
    name: "offset-bytes",
    version: 1,
    accepts: |grid| {
        grid.bits == 8 && grid.offset != Offset::Bias && grid.scale_dtype(DType::F32) != DType::U8
    },
    planes: planes_of,
    pack: |grid, row, scales, planes| {
        let offset = offset(grid);
        for (byte, code) in planes[0].iter_mut().zip(&row.codes) {
            *byte = (code + offset) as u8;
        }
        pack_groups(grid, row, scales, planes);
    },
    unpack: |grid, planes, scales, row| {
        let offset = offset(grid);
        for (code, byte) in row.codes.iter_mut().zip(planes[0]) {
            *code = i32::from(*byte) - offset;
        }
        unpack_groups(grid, planes, scales, row);
    },
};

/// Added to each code.
fn offset(grid: &Grid) -> i32 {
    if grid.codes.0 < 0 { 128 } else { 0 }
}

fn planes_of(grid: &Grid, n_cols: usize, scales: ScaleFormat) -> Vec<PlaneRow> {
    planes(PlaneRow { name: "weight", dtype: DType::U8, n_cols }, grid, n_cols, scales)
}
