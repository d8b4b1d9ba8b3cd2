//! Q4_1: Q4_1, and Q6_K for the output.

use mc_encoding::blocks::q4_1;

use crate::recipes::recipe::Recipe;

/// The recipe.
pub static RECIPE: Recipe = Recipe::uniform("Q4_1", 3, &q4_1::CODEC);
