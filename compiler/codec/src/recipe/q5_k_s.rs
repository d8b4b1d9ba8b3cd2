//! Q5_K_S: Q5_K throughout.

use crate::q5_k;
use crate::recipes::Recipe;

/// The recipe.
pub static RECIPE: Recipe = Recipe { name: "Q5_K_S", file_type: 16, default: &q5_k::CODEC, choose: |_| None };
