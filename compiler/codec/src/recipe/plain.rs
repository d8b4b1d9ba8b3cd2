//! F32, F16 and BF16: no quantization.

use crate::plain;
use crate::recipes::Recipe;

/// 32-bit floats.
pub static F32: Recipe = Recipe { name: "F32", file_type: 0, default: &plain::F32, choose: |_| None };

/// 16-bit floats.
pub static F16: Recipe = Recipe { name: "F16", file_type: 1, default: &plain::F16, choose: |_| None };

/// The upper halves of 32-bit floats.
pub static BF16: Recipe = Recipe { name: "BF16", file_type: 32, default: &plain::BF16, choose: |_| None };
