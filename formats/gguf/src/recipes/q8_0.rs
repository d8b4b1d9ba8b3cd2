//! Q8_0: Q8_0 throughout.

use mc_encoding::blocks::q8_0;

use crate::recipes::recipe::Recipe;

/// The recipe.
pub static RECIPE: Recipe = Recipe { head: &q8_0::CODEC, ..Recipe::uniform("Q8_0", 7, &q8_0::CODEC) };
