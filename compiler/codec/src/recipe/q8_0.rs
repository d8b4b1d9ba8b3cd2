//! Q8_0: Q8_0 throughout.

use crate::q8_0;
use crate::recipes::Recipe;

/// The recipe.
pub static RECIPE: Recipe = Recipe { name: "Q8_0", file_type: 7, default: &q8_0::CODEC, choose: |_| None };
