//! Asymmetric uint4 and uint8 with zero points: `w ~= scale * (q - zero point)`, per block of columns.
//!
//! Zero points are codes, so zero is always a level. `uint4-g32` and the other block sizes store scales as F16,
//! `uint4-g32-f32` as F32. These are the grids of ONNX's `MatMulNBits` with zero points.

use mc_tensor::dtype::DType;

use crate::grids::grid::{Grid, Group, Offset};
use crate::grids::scales::{ScaleFormat, ScaleType};
use crate::grids::uniform;

const fn uint4(name: &'static str, group: usize, scales: DType) -> Grid {
    Grid {
        name,
        version: 1,
        bits: 4,
        codes: (0, 15),
        group: Group::Columns(group),
        offset: Offset::ZeroPoint,
        scale_type: ScaleType::Fixed(ScaleFormat::Float(scales)),
        levels: uniform::levels,
        nearest: uniform::nearest::<0, 15>,
        solver: "nearest",
        packing: "offset-nibbles",
    }
}

const fn uint8(name: &'static str, group: usize, scales: DType) -> Grid {
    Grid {
        bits: 8,
        codes: (0, 255),
        nearest: uniform::nearest::<0, 255>,
        packing: "offset-bytes",
        ..uint4(name, group, scales)
    }
}

/// The grids of a block size: four and eight bits, scales as F16 and as F32.
macro_rules! blocks {
    ($($group:literal),*) => {
        [
            $(uint4(concat!("uint4-g", $group), $group, DType::F16),)*
            $(uint4(concat!("uint4-g", $group, "-f32"), $group, DType::F32),)*
            $(uint8(concat!("uint8-g", $group), $group, DType::F16),)*
            $(uint8(concat!("uint8-g", $group, "-f32"), $group, DType::F32),)*
        ]
    };
}

/// The grids, by bits, type of their scales and block size.
pub static GRIDS: [Grid; 20] = blocks!(16, 32, 64, 128, 256);
