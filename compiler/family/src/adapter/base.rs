//! Compares the base that an adapter names with the base that it is applied to.
//!
//! Names prove little: folders are renamed, and the same weights are published under several owners, also in
//! copies quantized for training. So only the last part of a name counts, and only names in the form of a
//! hub's (`org/name`) can disagree. Sizes that disagree are found with the tensors.

/// Suffixes of a model's name that mark a copy for training.
const COPIES: &[&str] =
    &["-unsloth-bnb-4bit", "-bnb-4bit", "-bnb-8bit", "-4bit", "-8bit", "-bf16", "-fp16", "-hf"];

/// Returns true if `declared`, an adapter's `base_model_name_or_path`, is a different model from the one in
/// `names`.
///
/// * `names`: names of the base: on the hub, in its configuration, and of its folder
pub fn is_another_base(declared: &str, names: &[String]) -> bool {
    let Some(declared) = hub_model(declared) else { return false };
    let known: Vec<String> = names.iter().filter_map(|name| last_part(name)).collect();
    // A base without a hub name cannot contradict.
    names.iter().any(|name| hub_model(name).is_some()) && !known.contains(&declared)
}

/// Returns the model's part of `org/name`; `None` for paths and bare names.
fn hub_model(name: &str) -> Option<String> {
    let (owner, model) = name.split_once('/')?;
    let is_part = |part: &str| {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        !part.is_empty() && !part.starts_with('.') && part.bytes().all(is_letter)
    };
    if !is_part(owner) || !is_part(model) {
        return None;
    }
    last_part(model)
}

/// Returns the last part of a name or path, without the suffix of a copy.
fn last_part(name: &str) -> Option<String> {
    let part = name.trim_end_matches('/').rsplit('/').next()?.to_ascii_lowercase();
    let copy = COPIES.iter().find_map(|ending| part.strip_suffix(ending));
    Some(copy.unwrap_or(&part).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_another(declared: &str, names: &[&str]) -> bool {
        is_another_base(declared, &names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn only_two_names_of_a_hub_can_disagree() {
        let llama = "meta-llama/Llama-3.2-1B";
        assert!(is_another(llama, &["Qwen/Qwen3-0.6B", "base"]));
        assert!(!is_another(llama, &["base"]));
        assert!(!is_another("base", &["Qwen/Qwen3-0.6B"]));
        assert!(!is_another("/home/me/models/base", &["Qwen/Qwen3-0.6B"]));
        assert!(!is_another("./models/base", &["Qwen/Qwen3-0.6B"]));
    }

    #[test]
    fn owners_copies_and_folders_do_not_make_another_model() {
        let llama = "meta-llama/Llama-3.2-1B";
        assert!(!is_another(llama, &[llama]));
        assert!(!is_another("unsloth/llama-3.2-1b-unsloth-bnb-4bit", &[llama]));
        assert!(!is_another(llama, &["someone/else", "Llama-3.2-1B"]));
        assert!(is_another("meta-llama/Llama-3.2-1B-Instruct", &[llama, "base"]));
    }
}
