//! F32, F16 and BF16: no quantization.

use mc_encoding::blocks::plain;

use crate::recipes::recipe::Recipe;

/// 32-bit floats.
pub static F32: Recipe = Recipe::uniform("F32", 0, &plain::F32);

/// 16-bit floats.
pub static F16: Recipe = Recipe::uniform("F16", 1, &plain::F16);

/// The upper halves of 32-bit floats.
pub static BF16: Recipe = Recipe::uniform("BF16", 32, &plain::BF16);
