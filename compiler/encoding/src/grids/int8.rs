//! Symmetric int8 per channel: `w ~= scale * q` with `q` in `-127..=127` and one F32 scale per row.
//!
//! The code -128 is not used, because LiteRT does not allow it in weights.

use mc_tensor::dtype::DType;

use crate::grids::grid::{Grid, Group, ScaleType};
use crate::grids::uniform;

const HIGH: i32 = 127;

/// The grid.
pub static GRIDS: [Grid; 1] = [Grid {
    name: "int8-channel",
    version: 1,
    bits: 8,
    codes: (-HIGH, HIGH),
    group: Group::Row,
    has_bias: false,
    scale_type: ScaleType::Fixed(DType::F32),
    levels: uniform::levels,
    nearest: uniform::nearest::<{ -HIGH }, HIGH>,
    solver: "absmax",
    packing: "signed-bytes",
}];
