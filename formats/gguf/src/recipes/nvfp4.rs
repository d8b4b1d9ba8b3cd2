//! NVFP4: NVFP4, and Q6_K for the output.

use mc_encoding::blocks::nvfp4;

use crate::recipes::recipe::Recipe;

/// The recipe.
pub static RECIPE: Recipe = Recipe::uniform("NVFP4", 39, &nvfp4::CODEC);
