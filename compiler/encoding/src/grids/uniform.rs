//! Evenly spaced levels: the level of a code is the code itself. Shared by grids; not a grid.

use crate::rounding::nearest_int;

/// The level of a code.
pub(crate) fn level(code: i32) -> f32 {
    code as f32
}

/// The nearest code in `LOW..=HIGH`, ties to even. Clamping first gives the same, since both bounds are whole.
#[inline(always)]
pub(crate) fn nearest<const LOW: i32, const HIGH: i32>(value: f32) -> i32 {
    nearest_int(value.clamp(LOW as f32, HIGH as f32))
}
