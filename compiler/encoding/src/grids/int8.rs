//! Symmetric int8: `w ~= scale * q` with `q` in `-127..=127`, per block of columns or per channel.
//!
//! The code -128 is not used, because LiteRT does not allow it in weights. `int8-g32` and the other block sizes store
//! scales as F16, `int8-g32-f32` as F32; `int8-channel` has one F32 scale per row.

use mc_tensor::dtype::DType;

use crate::grids::grid::{Grid, Group, Offset};
use crate::grids::scales::{ScaleFormat, ScaleType};
use crate::grids::uniform;

const HIGH: i32 = 127;

const fn int8(name: &'static str, group: Group, scales: DType, packing: &'static str) -> Grid {
    Grid {
        name,
        version: 1,
        bits: 8,
        codes: (-HIGH, HIGH),
        group,
        offset: Offset::None,
        scale_type: ScaleType::Fixed(ScaleFormat::Float(scales)),
        levels: uniform::levels,
        nearest: uniform::nearest::<{ -HIGH }, HIGH>,
        solver: "absmax",
        packing,
    }
}

/// The grids of a block size: scales as F16 and as F32.
macro_rules! blocks {
    ($($group:literal),*) => {
        [
            $(int8(concat!("int8-g", $group), Group::Columns($group), DType::F16, "offset-bytes"),)*
            $(int8(concat!("int8-g", $group, "-f32"), Group::Columns($group), DType::F32, "offset-bytes"),)*
            int8("int8-channel", Group::Row, DType::F32, "signed-bytes"),
        ]
    };
}

/// The grids, by type of their scales and block size; last that with one scale per row.
pub static GRIDS: [Grid; 11] = blocks!(16, 32, 64, 128, 256);
