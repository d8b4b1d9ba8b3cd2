//! The texts that end a model's turn.
//!
//! LiteRT-LM turns a stop text into tokens and compares these. If the text is no token of its own, its first token may
//! include the character before it, so the text is listed with each such character, as the official tool does.

use mc_decoder::vocabulary::Vocabulary;

/// Characters that tokenizers join with the first character of a text.
const BEFORE: &str = " .,?!:;\"')]}*";

/// Texts that end a turn in the templates of known models.
const ENDS: &[&str] = &["<|im_end|>", "<end_of_turn>", "<turn|>", "<|eot_id|>", "<|end|>", "<|eom_id|>"];

/// The stop texts, sorted.
pub(crate) fn texts(vocabulary: &Vocabulary, template: Option<&str>) -> Vec<String> {
    let template = template.unwrap_or_default();
    let text = |id: u32| vocabulary.tokens.get(id as usize).cloned();
    let mut ends: Vec<String> =
        ENDS.iter().filter(|end| template.contains(**end)).map(|end| (*end).to_owned()).collect();
    if ends.is_empty() || template.contains("eos_token") {
        ends.extend(vocabulary.special.eos.and_then(text));
    }
    let with_characters = |end: &String| {
        BEFORE.chars().map(|before| format!("{before}{end}")).chain([end.clone()]).collect::<Vec<_>>()
    };
    let mut texts: Vec<String> =
        ends.iter().filter(|end| !end.is_empty()).flat_map(with_characters).collect();
    texts.sort();
    texts.dedup();
    texts
}
