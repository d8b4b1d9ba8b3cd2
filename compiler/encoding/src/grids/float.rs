//! Grids of small floats, MLX's modes `mxfp4`, `mxfp8` and `nvfp4`: `w ~= scale * level(q)`.
//!
//! | grid | levels | columns per scale | scales |
//! |---|---|---|---|
//! | `mxfp4` | E2M1: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives | 32 | powers of two |
//! | `mxfp8` | E4M3: up to 448 | 32 | powers of two |
//! | `nvfp4` | E2M1 | 16 | E4M3 |
//!
//! Codes are in the order of the levels: a negative number with the bits `m` of its magnitude is the code `-1 - m`, so
//! -1 is minus zero.
//!
//! Source: `fp_quantize` of mlx 0.32. Bytes are compared with it in `tests/planes.rs`.

use mc_tensor::convert::f8_e4m3_to_f32;

use crate::grids::grid::{Grid, Group, Offset};
use crate::grids::scales::{MAX_FLOAT8_BYTE, ScaleFormat, ScaleType, float8_byte};

/// Magnitudes of E2M1.
const FLOAT4: [f32; 8] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];

/// Midpoints between adjacent magnitudes of E2M1.
const MIDDLES: [f32; 7] = [0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0];

const fn float4(name: &'static str, group: usize, scales: ScaleType) -> Grid {
    Grid {
        name,
        version: 1,
        bits: 4,
        codes: (-8, 7),
        group: Group::Columns(group),
        offset: Offset::None,
        scale_type: scales,
        levels: float4_levels,
        nearest: nearest_float4,
        solver: "absmax",
        packing: "mlx",
    }
}

/// The grids.
pub static GRIDS: [Grid; 3] = [
    float4("mxfp4", 32, ScaleType::PowerOfTwo),
    Grid {
        name: "mxfp8",
        version: 1,
        bits: 8,
        codes: (-(MAX_FLOAT8_BYTE as i32) - 1, MAX_FLOAT8_BYTE as i32),
        group: Group::Columns(32),
        offset: Offset::None,
        scale_type: ScaleType::PowerOfTwo,
        levels: float8_levels,
        nearest: nearest_float8,
        solver: "absmax",
        packing: "mlx",
    },
    float4("nvfp4", 16, ScaleType::Fixed(ScaleFormat::Float8)),
];

/// The bits of the magnitude of a code.
fn magnitude(code: i32) -> u8 {
    (if code < 0 { !code } else { code }) as u8
}

fn signed(code: i32, level: f32) -> f32 {
    if code < 0 { -level } else { level }
}

fn float4_levels(codes: &[i32], out: &mut [f32]) {
    for (level, code) in out.iter_mut().zip(codes) {
        *level = signed(*code, FLOAT4[usize::from(magnitude(*code) & 7)]);
    }
}

/// The nearest codes; of two equally near ones that of the smaller magnitude, and never minus zero.
fn nearest_float4(values: &[f32], out: &mut [i32]) {
    for (code, value) in out.iter_mut().zip(values) {
        let magnitude: i32 = MIDDLES.iter().map(|middle| i32::from(value.abs() > *middle)).sum();
        *code = if *value < 0.0 && magnitude > 0 { !magnitude } else { magnitude };
    }
}

fn float8_levels(codes: &[i32], out: &mut [f32]) {
    for (level, code) in out.iter_mut().zip(codes) {
        *level = signed(*code, f8_e4m3_to_f32(magnitude(*code)));
    }
}

/// The nearest codes, ties to even, with the sign of the number even if they are zero.
fn nearest_float8(values: &[f32], out: &mut [i32]) {
    for (code, value) in out.iter_mut().zip(values) {
        let magnitude = i32::from(float8_byte(value.abs()));
        *code = if value.is_sign_negative() { !magnitude } else { magnitude };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_smaller_magnitude_or_to_even() {
        let mut codes = [0; 6];
        nearest_float4(&[0.25, -0.25, 0.26, -0.26, 5.0, -5.1], &mut codes);
        assert_eq!(codes, [0, 0, 1, !1, 6, !7]);
        nearest_float8(&[0.0, -0.0, 1.0625, -1.1875, 1e9, -1e-9], &mut codes);
        assert_eq!(codes, [0, -1, 56, !58, 126, -1]);
    }

    #[test]
    fn minus_zero_is_a_code() {
        let mut level = [1.0];
        float4_levels(&[-1], &mut level);
        assert_eq!(level[0].to_bits(), (-0.0_f32).to_bits());
    }
}
