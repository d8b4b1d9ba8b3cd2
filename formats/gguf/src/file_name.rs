//! The name of a GGUF file by the naming convention: `BaseName-SizeLabel-Version-Encoding.gguf`.
//!
//! Source: "GGUF Naming Convention" in docs/gguf.md of ggml.

use mc_exporter::count_label::count_label;
use mc_exporter::exporter::Release;

use crate::split;

/// `Roadtrip-4.2M-v1.0-Q4_K_M.gguf`.
pub(crate) fn of(release: &Release<'_>) -> String {
    let Release { name, n_parameters, version, recipe } = *release;
    format!("{}-{}-v{version}-{recipe}.gguf", base_name(name), count_label(n_parameters))
}

/// The name of each file of a series, if the whole is called `name.gguf`.
pub fn of_series(name: &str, count: usize) -> Vec<String> {
    let stem = name.strip_suffix(".gguf").unwrap_or(name);
    match count {
        0 | 1 => vec![name.to_owned()],
        count => (1..=count).map(|number| split::file_name(stem, number, count)).collect(),
    }
}

/// The name, reduced to letters, digits and single hyphens.
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
        let gguf_name =
            |name, n_parameters, version, recipe| of(&Release { name, n_parameters, version, recipe });
        assert_eq!(gguf_name("Roadtrip", 4_196_608, "1.0", "Q4_K_M"), "Roadtrip-4.2M-v1.0-Q4_K_M.gguf");
        assert_eq!(
            gguf_name("Über/My Model_2", 1_235_814_400, "2", "F16"),
            "ber-My-Model-2-1.2B-v2-F16.gguf"
        );
        assert_eq!(gguf_name("…", 5_000_000, "1.0", "Q8_0"), "Model-5.0M-v1.0-Q8_0.gguf");
    }

    #[test]
    fn one_file_keeps_its_name_and_several_are_numbered() {
        assert_eq!(of_series("app.gguf", 1), ["app.gguf"]);
        assert_eq!(of_series("app.gguf", 2), ["app-00001-of-00002.gguf", "app-00002-of-00002.gguf"]);
    }
}
