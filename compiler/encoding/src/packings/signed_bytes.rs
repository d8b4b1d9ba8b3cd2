//! `signed-bytes`: `weight` I8 `[rows, columns]` with one code per byte, and `scales` `[rows, groups]`.

use mc_tensor::dtype::DType;

use crate::grids::grid::Grid;
use crate::packings::packing::{Packing, PlaneRow, pack_scales, planes, unpack_scales};

/// The packing.
pub static PACKING: Packing = Packing {
    name: "signed-bytes",
    version: 1,
    accepts: |grid| !grid.has_bias && grid.codes.0 >= -128 && grid.codes.1 <= 127,
    planes: planes_of,
    pack: |_, row, scales, planes| {
        for (byte, code) in planes[0].iter_mut().zip(&row.codes) {
            *byte = *code as u8;
        }
        pack_scales(row, scales, planes);
    },
    unpack: |_, planes, scales, row| {
        for (code, byte) in row.codes.iter_mut().zip(planes[0]) {
            *code = i32::from(*byte as i8);
        }
        unpack_scales(planes, scales, row);
    },
};

fn planes_of(grid: &Grid, n_cols: usize, scales: DType) -> Vec<PlaneRow> {
    planes(PlaneRow { name: "weight", dtype: DType::I8, n_cols }, grid, n_cols, scales)
}
