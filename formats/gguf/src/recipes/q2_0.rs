//! Q2_0: Q2_0, and Q4_K for the embedding.

use mc_encoding::blocks::{q2_0, q4_k};

use crate::recipes::recipe::Recipe;

/// The recipe.
pub static RECIPE: Recipe = Recipe { embedding: &q4_k::CODEC, ..Recipe::uniform("Q2_0", 41, &q2_0::CODEC) };
