//! Affine grids: `w ~= scale * q + bias` with `q` in `0..2^bits`, for groups of 32, 64 or 128 columns.
//!
//! These are the grids of MLX's mode `affine`. Scales and biases have the type of the weights; a scale may be negative.
//!
//! Source: `affine_quantize` of mlx (mlx/backend/cpu/quantized.cpp).

use crate::grids::grid::{Grid, Group, Offset};
use crate::grids::scales::ScaleType;
use crate::grids::uniform;

/// A grid with this many bits and columns.
macro_rules! affine {
    ($bits:literal, $group:literal) => {
        Grid {
            name: concat!("affine-", $bits, "-g", $group),
            version: 1,
            bits: $bits,
            codes: (0, (1 << $bits) - 1),
            group: Group::Columns($group),
            offset: Offset::Bias,
            scale_type: ScaleType::OfWeights,
            levels: uniform::levels,
            nearest: uniform::nearest::<0, { (1 << $bits) - 1 }>,
            solver: "nearest",
            packing: "mlx",
        }
    };
}

/// The grids, by bits and columns.
pub static GRIDS: [Grid; 18] = [
    affine!(2, 32),
    affine!(2, 64),
    affine!(2, 128),
    affine!(3, 32),
    affine!(3, 64),
    affine!(3, 128),
    affine!(4, 32),
    affine!(4, 64),
    affine!(4, 128),
    affine!(5, 32),
    affine!(5, 64),
    affine!(5, 128),
    affine!(6, 32),
    affine!(6, 64),
    affine!(6, 128),
    affine!(8, 32),
    affine!(8, 64),
    affine!(8, 128),
];
