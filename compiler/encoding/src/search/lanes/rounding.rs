//! Rounding and limiting of codes in lanes: fewer possible cases need fewer instructions.

use crate::lanes::Simd;

/// 1.5 * 2^23: added to a number near zero, it leaves the nearest integer in the lower bits.
const ROUNDER: f32 = 12_582_912.0;

/// Maximum distance from zero of numbers that become codes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Within the table of [`Rounding`].
    Table,
    /// No code is below the lower limit.
    NotBelow,
    /// Under 2^22.
    Near,
    /// Anywhere.
    Any,
}

/// Codes `low..=high`.
#[derive(Clone, Copy)]
pub(crate) struct Rounding<S: Simd> {
    low: i32,
    high: i32,
    table: [S::F; 2],
}

impl<S: Simd> Rounding<S> {
    /// Number of codes in the table; equal to the number of lanes if that covers some numbers beyond the range of
    /// codes.
    const fn table_len(low: i32, high: i32) -> i32 {
        let n = S::N as i32;
        if high - low + 3 <= n {
            n
        } else if n == 16 && high - low + 3 <= 2 * n {
            2 * n
        } else {
            0
        }
    }

    /// The codes `low..=high`, which include zero.
    #[inline(always)]
    pub(crate) fn new(low: i32, high: i32) -> Self {
        let len = Self::table_len(low, high);
        let mut entries = [[0.0; crate::lanes::MAX_LANES]; 2];
        if len > 0 {
            let spare = (len - 1 - (high - low)) / 2;
            for value in low - spare..low - spare + len {
                let index = (value & (len - 1)) as usize;
                entries[index / S::N][index % S::N] = value.clamp(low, high) as f32;
            }
        }
        Self { low, high, table: [S::load(&entries[0]), S::load(&entries[1])] }
    }

    /// The range of numbers for [`Reach::Table`]; `None` if there is no table.
    #[inline(always)]
    pub(crate) fn table_range(&self) -> Option<(f32, f32)> {
        let len = Self::table_len(self.low, self.high);
        let spare = (len - 1 - (self.high - self.low)) / 2;
        let least = self.low - spare;
        (len > 0).then_some((least as f32 - 0.4, (least + len - 1) as f32 + 0.4))
    }

    /// [`crate::rounding::nearest_int`], limited, as f32; an arbitrary code for numbers beyond their reach.
    #[inline(always)]
    pub(crate) fn code(&self, value: S::F, reach: Reach) -> S::F {
        let rounder = ROUNDER.to_bits().cast_signed();
        match reach {
            Reach::Table => {
                let bits = S::bits(value + S::splat(ROUNDER));
                if Self::table_len(self.low, self.high) == S::N as i32 {
                    S::permute(self.table[0], bits)
                } else {
                    S::pick_of_two(self.table, bits)
                }
            }
            Reach::NotBelow => {
                let bits = S::bits(value + S::splat(ROUNDER));
                let bits = S::min_i(bits, S::splat_i(rounder + self.high));
                S::from_bits(bits) - S::splat(ROUNDER)
            }
            Reach::Near => {
                let bits = S::bits(value + S::splat(ROUNDER));
                let bits = S::clamp_i(bits, rounder + self.low, rounder + self.high);
                S::from_bits(bits) - S::splat(ROUNDER)
            }
            Reach::Any => S::to_f(S::clamp_i(S::nearest_int(value), self.low, self.high)),
        }
    }
}
