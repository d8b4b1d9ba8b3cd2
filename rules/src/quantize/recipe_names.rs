//! Suggests recipes for the quantization names of other tools.

/// Names of other tools in lower case, each with the recipe that has about the same number of bits.
const NAMES: [(&[&str], &str); 9] = [
    (&["int2", "i2", "2bit", "2-bit", "q2"], "Q2_K"),
    (&["int3", "i3", "3bit", "3-bit", "q3"], "Q3_K_M"),
    (&["int4", "i4", "4bit", "4-bit", "q4", "nf4", "fp4", "awq", "gptq", "w4a16"], "Q4_K_M"),
    (&["int5", "i5", "5bit", "5-bit", "q5"], "Q5_K_M"),
    (&["int6", "i6", "6bit", "6-bit", "q6"], "Q6_K"),
    (&["int8", "i8", "8bit", "8-bit", "q8", "fp8", "w8a16", "w8a8"], "Q8_0"),
    (&["fp16", "float16", "half", "16bit"], "F16"),
    (&["bfloat16", "brain"], "BF16"),
    (&["fp32", "float32", "float", "full"], "F32"),
];

/// Returns the recipe that is closest to a name that GGUF does not have.
pub(crate) fn advice(name: &str) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    let (_, recipe) = NAMES.iter().find(|(names, _)| names.contains(&lower.as_str()))?;
    Some(format!("GGUF has no `{name}`; `{recipe}` is its usual type of that size"))
}

#[cfg(test)]
mod tests {
    use mc_gguf::recipes;

    use super::*;

    #[test]
    fn advice_names_recipes_and_no_recipe_needs_advice() {
        for (names, recipe) in NAMES {
            assert!(recipes::by_name(recipe).is_some(), "{recipe}");
            assert!(names.iter().all(|name| recipes::by_name(&name.to_ascii_uppercase()).is_none()));
        }
        assert_eq!(advice("INT4").unwrap(), "GGUF has no `INT4`; `Q4_K_M` is its usual type of that size");
        assert_eq!(advice("Q4_K_X"), None);
    }
}
