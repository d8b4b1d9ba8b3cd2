//! The name of a GGUF file by the naming convention: `BaseName-SizeLabel-Version-Encoding.gguf`.
//!
//! Source: "GGUF Naming Convention" in docs/gguf.md of ggml.

use mc_gguf::keys::count_label;

/// `Roadtrip-4.2M-v1.0-Q4_K_M.gguf`.
pub(crate) fn gguf_name(name: &str, n_parameters: u64, version: &str, recipe: &str) -> String {
    format!("{}-{}-v{version}-{recipe}.gguf", base_name(name), count_label(n_parameters))
}

/// The name in letters, digits and single hyphens.
fn base_name(name: &str) -> String {
    let words: Vec<&str> =
        name.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    if words.is_empty() { "Model".to_owned() } else { words.join("-") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_convention() {
        assert_eq!(gguf_name("Roadtrip", 4_196_608, "1.0", "Q4_K_M"), "Roadtrip-4.2M-v1.0-Q4_K_M.gguf");
        assert_eq!(
            gguf_name("Über/My Model_2", 1_235_814_400, "2", "F16"),
            "ber-My-Model-2-1.2B-v2-F16.gguf"
        );
        assert_eq!(gguf_name("…", 5_000_000, "1.0", "Q8_0"), "Model-5.0M-v1.0-Q8_0.gguf");
    }
}
