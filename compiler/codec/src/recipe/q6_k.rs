//! Q6_K: Q6_K throughout.

use crate::q6_k;
use crate::recipes::Recipe;

/// The recipe.
pub static RECIPE: Recipe = Recipe { name: "Q6_K", file_type: 18, default: &q6_k::CODEC, choose: |_| None };
