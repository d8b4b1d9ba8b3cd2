//! Q5_1: Q5_1, and Q6_K for the output.

use mc_encoding::blocks::q5_1;

use crate::recipes::recipe::Recipe;

/// The recipe.
pub static RECIPE: Recipe = Recipe::uniform("Q5_1", 9, &q5_1::CODEC);
