//! The table of recipes.

pub mod iq1_m;
pub mod iq1_s;
pub mod iq2_m;
pub mod iq2_s;
pub mod iq2_xs;
pub mod iq2_xxs;
pub mod iq3_m;
pub mod iq3_s;
pub mod iq3_xs;
pub mod iq3_xxs;
pub mod iq4_nl;
pub mod iq4_xs;
pub mod low_bits;
pub mod mxfp4_moe;
pub mod nvfp4;
pub mod overrides;
pub mod plain;
pub mod q1_0;
pub mod q2_0;
pub mod q2_k;
pub mod q2_k_s;
pub mod q3_k_l;
pub mod q3_k_m;
pub mod q3_k_s;
pub mod q4_0;
pub mod q4_1;
pub mod q4_k_m;
pub mod q4_k_s;
pub mod q5_0;
pub mod q5_1;
pub mod q5_k_m;
pub mod q5_k_s;
pub mod q6_k;
pub mod q8_0;
pub mod recipe;
pub mod tensor_position;
pub mod tq1_0;
pub mod tq2_0;

use crate::recipes::recipe::Recipe;

/// Every recipe. Adding one is a file in `recipes/` and a row here.
pub static RECIPES: &[&Recipe] = &[
    &plain::F32,
    &plain::F16,
    &plain::BF16,
    &q8_0::RECIPE,
    &q4_0::RECIPE,
    &q4_1::RECIPE,
    &q5_0::RECIPE,
    &q5_1::RECIPE,
    &q2_k::RECIPE,
    &q2_k_s::RECIPE,
    &q3_k_s::RECIPE,
    &q3_k_m::RECIPE,
    &q3_k_l::RECIPE,
    &q4_k_s::RECIPE,
    &q4_k_m::RECIPE,
    &q5_k_s::RECIPE,
    &q5_k_m::RECIPE,
    &q6_k::RECIPE,
    &iq1_s::RECIPE,
    &iq1_m::RECIPE,
    &iq2_xxs::RECIPE,
    &iq2_xs::RECIPE,
    &iq2_s::RECIPE,
    &iq2_m::RECIPE,
    &iq3_xxs::RECIPE,
    &iq3_xs::RECIPE,
    &iq3_s::RECIPE,
    &iq3_m::RECIPE,
    &iq4_nl::RECIPE,
    &iq4_xs::RECIPE,
    &tq1_0::RECIPE,
    &tq2_0::RECIPE,
    &mxfp4_moe::RECIPE,
    &nvfp4::RECIPE,
    &q1_0::RECIPE,
    &q2_0::RECIPE,
];

/// The recipe with this name.
pub fn by_name(name: &str) -> Option<&'static Recipe> {
    RECIPES.iter().copied().find(|recipe| recipe.name == name)
}

/// Every name, in the order of the table.
pub fn names() -> Vec<&'static str> {
    RECIPES.iter().map(|recipe| recipe.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_of_recipes_are_unique() {
        for (idx, recipe) in RECIPES.iter().enumerate() {
            assert!(RECIPES[..idx].iter().all(|other| other.name != recipe.name));
            assert!(
                RECIPES[..idx].iter().all(|other| other.file_type != recipe.file_type),
                "{}",
                recipe.name
            );
        }
    }
}
