//! Evenly spaced levels: the level of a code is the code itself. Shared by grids; not a grid.

use crate::rounding::nearest_int;

/// The levels of codes.
pub(crate) fn levels(codes: &[i32], out: &mut [f32]) {
    for (level, code) in out.iter_mut().zip(codes) {
        *level = *code as f32;
    }
}

/// The nearest codes in `LOW..=HIGH`, ties to even. Clamping first gives the same result, since both bounds are
/// integers.
pub(crate) fn nearest<const LOW: i32, const HIGH: i32>(values: &[f32], out: &mut [i32]) {
    for (code, value) in out.iter_mut().zip(values) {
        *code = nearest_int(value.clamp(LOW as f32, HIGH as f32));
    }
}
