//! The front matter of a model card: the YAML that model hubs read.

use crate::ship::package::Package;

/// The front matter, with the lines around it.
pub(crate) fn text(package: &Package) -> String {
    let mut text = String::from("---\n");
    list(&mut text, "base_model", &package.base_models());
    line(&mut text, "base_model_relation", Some(package.relation));
    list(&mut text, "language", &texts(&package.identity.languages));
    line(&mut text, "license", package.license());
    line(&mut text, "license_name", package.identity.license_name.as_deref());
    line(&mut text, "license_link", package.license_link());
    line(&mut text, "library_name", Some(package.format));
    line(&mut text, "pipeline_tag", Some(package.pipeline_tag()));
    line(&mut text, "quantization", Some(&package.recipe));
    list(&mut text, "tags", &tags(package));
    text.push_str("---\n");
    text
}

/// The tags of the sources, and the format.
fn tags(package: &Package) -> Vec<&str> {
    let of_sources = package.identity.tags.iter().map(String::as_str);
    let of_sources = of_sources.filter(|tag| *tag != package.pipeline_tag() && *tag != package.format);
    of_sources.chain([package.format]).collect()
}

fn texts(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

fn line(text: &mut String, key: &str, value: Option<&str>) {
    if let Some(value) = value {
        text.push_str(&format!("{key}: {}\n", scalar(value)));
    }
}

fn list(text: &mut String, key: &str, values: &[&str]) {
    if values.is_empty() {
        return;
    }
    text.push_str(&format!("{key}:\n"));
    for value in values {
        text.push_str(&format!("- {}\n", scalar(value)));
    }
}

/// A text in YAML, quoted if YAML would parse it as another type: `no` as `false`, `1.0` as a number.
fn scalar(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:".contains(letter);
    let words = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let is_word = words.contains(&text.to_ascii_lowercase().as_str());
    let begins = text.starts_with(|letter: char| letter.is_ascii_alphabetic());
    if begins && !is_word && text.chars().all(is_plain) && !text.ends_with(':') {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_quoted_if_yaml_would_parse_it_as_another_type() {
        let long = "org/name-1.0_x";
        for (text, expected) in [
            (long, long),
            ("no", "\"no\""),
            ("1.0", "\"1.0\""),
            ("a: b", "\"a: b\""),
            ("x\n---", "\"x\\n---\""),
            ("", "\"\""),
            ("https://a.b/c", "https://a.b/c"),
        ] {
            assert_eq!(scalar(text), expected);
        }
    }
}
