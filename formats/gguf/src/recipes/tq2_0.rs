//! TQ2_0: TQ2_0, and Q4_K for the embedding.

use mc_encoding::blocks::{q4_k, tq2_0};

use crate::recipes::recipe::Recipe;

/// The recipe.
pub static RECIPE: Recipe = Recipe { embedding: &q4_k::CODEC, ..Recipe::uniform("TQ2_0", 37, &tq2_0::CODEC) };
