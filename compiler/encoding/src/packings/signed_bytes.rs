//! `signed-bytes`: `weight` I8 `[rows, columns]` with one code per byte, and `scales` `[rows, groups]`.

use mc_tensor::dtype::DType;

use crate::grids::grid::{Grid, Offset};
use crate::grids::scales::ScaleFormat;
use crate::packings::packing::{Packing, PlaneRow, pack_groups, planes, unpack_groups};

/// The packing.
pub static PACKING: Packing = Packing {
    name: "signed-bytes",
    version: 1,
    accepts,
    planes: planes_of,
    pack: |grid, row, scales, planes| {
        for (byte, code) in planes[0].iter_mut().zip(&row.codes) {
            *byte = *code as u8;
        }
        pack_groups(grid, row, scales, planes);
    },
    unpack: |grid, planes, scales, row| {
        for (code, byte) in row.codes.iter_mut().zip(planes[0]) {
            *code = i32::from(*byte as i8);
        }
        unpack_groups(grid, planes, scales, row);
    },
};

/// Signed integers without a bias.
fn accepts(grid: &Grid) -> bool {
    let is_float = grid.scale_dtype(DType::F32) == DType::U8;
    grid.offset == Offset::None && !is_float && grid.codes.0 >= -128 && grid.codes.1 <= 127
}

fn planes_of(grid: &Grid, n_cols: usize, scales: ScaleFormat) -> Vec<PlaneRow> {
    planes(PlaneRow { name: "weight", dtype: DType::I8, n_cols }, grid, n_cols, scales)
}
