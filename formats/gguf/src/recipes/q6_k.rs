//! Q6_K: Q6_K throughout.

use mc_encoding::blocks::q6_k;

use crate::recipes::recipe::Recipe;

/// The recipe.
pub static RECIPE: Recipe = Recipe::uniform("Q6_K", 18, &q6_k::CODEC);
