//! Q4_1: Q4_1 throughout.

use crate::q4_1;
use crate::recipes::Recipe;

/// The recipe.
pub static RECIPE: Recipe = Recipe { name: "Q4_1", file_type: 3, default: &q4_1::CODEC, choose: |_| None };
