//! Symmetric int4 per block of 32 columns: `w ~= scale * q` with `q` in `-7..=7`.
//!
//! The code -8 is not used, because LiteRT does not allow it in weights; every format with int4 can store these codes.
//! `int4-b32` stores scales as F16, `int4-b32-f32` as F32.

use mc_tensor::dtype::DType;

use crate::grids::grid::{Grid, Group, ScaleType};
use crate::grids::uniform;

const HIGH: i32 = 7;

const fn blocks(name: &'static str, scales: DType) -> Grid {
    Grid {
        name,
        version: 1,
        bits: 4,
        codes: (-HIGH, HIGH),
        group: Group::Columns(32),
        has_bias: false,
        scale_type: ScaleType::Fixed(scales),
        levels: uniform::levels,
        nearest: uniform::nearest::<{ -HIGH }, HIGH>,
        solver: "absmax",
        packing: "offset-nibbles",
    }
}

/// The grids, by type of their scales.
pub static GRIDS: [Grid; 2] = [blocks("int4-b32", DType::F16), blocks("int4-b32-f32", DType::F32)];
