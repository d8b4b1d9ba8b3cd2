//! Symmetric int4: `w ~= scale * q` with `q` in `-7..=7`, per block of columns or per channel.
//!
//! The code -8 is not used, because LiteRT does not allow it in weights; every format with int4 can store these codes.
//! `int4-g32` and the other block sizes store scales as F16, `int4-g32-f32` as F32; `int4-channel` has one F32 scale per
//! row. Scales of `int4-g32-bf16` are exact in both F16 and BF16, because LiteRT stores the one and computes with the
//! other. LiteRT also refuses scales of zero and subnormal ones, so scales are always normal numbers.

use mc_tensor::dtype::DType;

use crate::grids::grid::{Grid, Group, Offset};
use crate::grids::scales::{ScaleFormat, ScaleType};
use crate::grids::uniform;

const HIGH: i32 = 7;
const F16: ScaleFormat = ScaleFormat::Normal(DType::F16);
const F32: ScaleFormat = ScaleFormat::Normal(DType::F32);

const fn int4(name: &'static str, group: Group, scales: ScaleFormat, packing: &'static str) -> Grid {
    Grid {
        name,
        version: 1,
        bits: 4,
        codes: (-HIGH, HIGH),
        group,
        offset: Offset::None,
        scale_type: ScaleType::Fixed(scales),
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
            $(int4(concat!("int4-g", $group), Group::Columns($group), F16, "offset-nibbles"),)*
            $(int4(concat!("int4-g", $group, "-f32"), Group::Columns($group), F32, "offset-nibbles"),)*
            int4("int4-g32-bf16", Group::Columns(32), ScaleFormat::NormalInBoth, "signed-nibbles"),
            int4("int4-channel", Group::Row, F32, "signed-nibbles"),
        ]
    };
}

/// The grids, by type of their scales and block size; last that with one scale per row.
pub static GRIDS: [Grid; 12] = blocks!(16, 32, 64, 128, 256);
