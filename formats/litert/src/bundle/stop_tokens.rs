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

#[cfg(test)]
mod tests {
    use mc_decoder::pre_tokenizer::PreTokenizer;
    use mc_decoder::vocabulary::{SpecialTokens, VocabularyKind};

    use super::*;

    #[test]
    fn the_end_of_a_turn_is_that_of_the_template() {
        let vocabulary = Vocabulary {
            kind: VocabularyKind::BytePair,
            pre_tokenizer: PreTokenizer::NONE,
            tokens: vec!["</s>".to_owned()],
            scores: Vec::new(),
            types: Vec::new(),
            merges: Vec::new(),
            special: SpecialTokens { eos: Some(0), ..SpecialTokens::default() },
            space_prefix: None,
            chat_template: None,
            named_templates: Vec::new(),
        };
        let of = |template| texts(&vocabulary, template).join(" ");
        let expected = " </s> !</s> \"</s> '</s> )</s> *</s> ,</s> .</s> :</s> ;</s> </s> ?</s> ]</s> }</s>";
        assert_eq!(of(None), expected);
        assert_eq!(of(Some("{{ m }}{{ eos_token }}")), expected);
        assert!(of(Some("<|im_start|>{{ m }}<|im_end|>")).contains(".<|im_end|>"));
        assert!(!of(Some("<|im_start|>{{ m }}<|im_end|>")).contains("</s>"));
    }
}
