//! Q1_0: Q1_0, and Q6_K for the output.

use mc_encoding::blocks::q1_0;

use crate::recipes::recipe::Recipe;

/// The recipe.
pub static RECIPE: Recipe = Recipe::uniform("Q1_0", 40, &q1_0::CODEC);
