//! Q5_1: Q5_1 throughout.

use crate::q5_1;
use crate::recipes::Recipe;

/// The recipe.
pub static RECIPE: Recipe = Recipe { name: "Q5_1", file_type: 9, default: &q5_1::CODEC, choose: |_| None };
