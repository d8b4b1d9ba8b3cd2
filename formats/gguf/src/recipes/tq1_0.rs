//! TQ1_0: TQ1_0, and Q4_K for the embedding.

use mc_encoding::blocks::{q4_k, tq1_0};

use crate::recipes::recipe::Recipe;

/// The recipe.
pub static RECIPE: Recipe = Recipe { embedding: &q4_k::CODEC, ..Recipe::uniform("TQ1_0", 36, &tq1_0::CODEC) };
