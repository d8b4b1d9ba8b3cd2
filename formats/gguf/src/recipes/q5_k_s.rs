//! Q5_K_S: Q5_K, and Q6_K for the output.

use mc_encoding::blocks::q5_k;

use crate::recipes::recipe::Recipe;

/// The recipe.
pub static RECIPE: Recipe = Recipe::uniform("Q5_K_S", 16, &q5_k::CODEC);
