//! Converts a checkpoint's tokenizer files to the vocabulary in a container.
//!
//! Source: the `set_vocab` of each family in `convert_hf_to_gguf.py`, and `SpecialVocab` of gguf-py,
//! llama.cpp.

use mc_decoder::pre_tokenizer::PreTokenizer;
use mc_decoder::vocabulary::{SpecialKey, TokenType, Vocabulary, VocabularyKind};
use serde_json::Value;

use crate::chat::templates::ChatTemplates;
use crate::config::{self, CONFIG, Config};
use crate::error::FamilyError;
use crate::tokenizer::added_tokens;
use crate::tokenizer::piece_vocabulary::{self, Pieces};
use crate::tokenizer::recognition::recognize;
use crate::tokenizer::special_tokens::{self, Settings, Sources};
use crate::tokenizer::tokenizer_json::{Merge, TokenizerJson};
use crate::tokenizer_files::{GENERATION_CONFIG, SPECIAL_TOKENS_MAP, TOKENIZER_CONFIG, TokenizerFiles};

/// Differences between the families' converters for vocabularies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Custom {
    /// Llama and its descendants: `tokenizer_config.json` decides about the space before a text.
    Llama,
    /// Gemma: never a space before a text.
    Gemma,
    /// Phi-3: SentencePiece unless the tokenizer's class names another kind.
    Phi3,
    /// `tokenizer.model` if there is one.
    Qwen,
    /// Byte-level only.
    Other,
}

impl Custom {
    fn of(family: &str) -> Self {
        match family {
            "llama" | "mistral" | "mixtral" | "granite" | "smollm3" => Self::Llama,
            "gemma2" | "gemma3" => Self::Gemma,
            "phi3" => Self::Phi3,
            "qwen2" | "qwen3" => Self::Qwen,
            _ => Self::Other,
        }
    }
}

/// Returns the vocabulary of a checkpoint of `family` whose token embedding has `n_vocab` rows.
///
/// # Errors
/// Fails if a file cannot be read, if no container supports the tokenizer's kind, or if it has more tokens
/// than the embedding has rows.
pub fn vocabulary(files: &TokenizerFiles<'_>, n_vocab: u32, family: &str) -> Result<Vocabulary, FamilyError> {
    let settings = parse(files)?;
    let custom = Custom::of(family);
    let json = files.tokenizer.map(TokenizerJson::from_bytes).transpose()?;
    let is_bytes = json.as_ref().is_some_and(|json| json.kind() == VocabularyKind::BytePair);
    let class = &settings.tokenizer_config["tokenizer_class"];
    let model = files.tokenizer_model.filter(|_| match custom {
        Custom::Llama | Custom::Gemma | Custom::Qwen => true,
        Custom::Phi3 => class != "GPT2Tokenizer",
        Custom::Other => !is_bytes,
    });
    let mut vocabulary = match (model, &json) {
        (Some(model), json) => {
            let pieces = Pieces::of_model(model, files, json.as_ref(), &settings.tokenizer_config, n_vocab)?;
            let pieces = if custom == Custom::Phi3 { pieces.phi3() } else { pieces };
            of_pieces(pieces.finish())
        }
        (None, Some(json)) if is_bytes => of_bytes(json, &settings, n_vocab)?,
        (None, Some(json)) => {
            of_pieces(piece_vocabulary::of_json(json, &settings.tokenizer_config, n_vocab)?)
        }
        (None, None) => {
            return Err(FamilyError::Tokenizer(
                "The checkpoint has neither `tokenizer.json` nor `tokenizer.model`; save it with its tokenizer: \
                 `AutoTokenizer.from_pretrained(…).save_pretrained(folder)`"
                    .to_owned(),
            ));
        }
    };
    vocabulary.special = special_tokens::special_tokens(&Sources {
        json: json.as_ref(),
        added: json.as_ref().map_or(&[], |json| json.added_tokens.as_slice()),
        settings: &settings,
        tokens: &vocabulary.tokens,
        types: &vocabulary.types,
    })?;
    let configured = settings.tokenizer_config["add_prefix_space"].as_bool();
    match custom {
        Custom::Llama => {
            // A file without the key means that the space is added, so a tokenizer trained without it needs
            // the key.
            let trained = vocabulary.space_prefix.filter(|prefix| !prefix);
            vocabulary.space_prefix = configured.or(trained);
            // The small Granite and SmolLM models, whose configurations do not set it.
            if n_vocab == 49152 {
                if vocabulary.special.add_bos.is_none() {
                    vocabulary.special.order.push(SpecialKey::AddBos);
                }
                vocabulary.special.add_bos = Some(false);
            }
        }
        Custom::Gemma if vocabulary.kind == VocabularyKind::SentencePiece => {
            vocabulary.space_prefix = Some(false);
        }
        _ => vocabulary.space_prefix = vocabulary.space_prefix.filter(|prefix| !prefix),
    }
    let templates = ChatTemplates::read(files, &settings.tokenizer_config)?;
    vocabulary.chat_template = templates.default;
    vocabulary.named_templates = templates.named;
    Ok(vocabulary)
}

fn of_pieces(pieces: piece_vocabulary::PieceTable) -> Vocabulary {
    Vocabulary {
        tokens: pieces.tokens,
        scores: pieces.scores,
        types: pieces.types,
        space_prefix: Some(pieces.space_prefix),
        ..empty(VocabularyKind::SentencePiece)
    }
}

fn of_bytes(json: &TokenizerJson, settings: &Settings, n_vocab: u32) -> Result<Vocabulary, FamilyError> {
    let configured = added_tokens::of_config(&settings.tokenizer_config)?;
    let (tokens, types) = tokens(json, &configured, n_vocab)?;
    Ok(Vocabulary {
        pre_tokenizer: recognize(&json.pre_tokenizer, json.model.ignore_merges),
        tokens,
        types,
        merges: json.model.merges.iter().map(Merge::text).collect(),
        ..empty(VocabularyKind::BytePair)
    })
}

fn empty(kind: VocabularyKind) -> Vocabulary {
    Vocabulary {
        kind,
        pre_tokenizer: PreTokenizer::NONE,
        tokens: Vec::new(),
        scores: Vec::new(),
        types: Vec::new(),
        merges: Vec::new(),
        special: mc_decoder::vocabulary::SpecialTokens::default(),
        space_prefix: None,
        chat_template: None,
        named_templates: Vec::new(),
    }
}

fn parse(files: &TokenizerFiles<'_>) -> Result<Settings, FamilyError> {
    let optional = |file, text: Option<&[u8]>| match text {
        None => Ok(Value::Null),
        Some(text) => object(file, text),
    };
    Ok(Settings {
        config: object(CONFIG, files.config)?,
        tokenizer_config: optional(TOKENIZER_CONFIG, files.tokenizer_config)?,
        special_tokens_map: optional(SPECIAL_TOKENS_MAP, files.special_tokens_map)?,
        generation_config: optional(GENERATION_CONFIG, files.generation_config)?,
    })
}

fn object(file: &'static str, text: &[u8]) -> Result<Value, FamilyError> {
    let value = config::parse(file, text)?;
    Config::new(file, &value)?;
    Ok(value)
}

// Returns texts and types by id; an id without any entry is a padding slot.
fn tokens(
    json: &TokenizerJson,
    configured: &[added_tokens::AddedToken],
    n_vocab: u32,
) -> Result<(Vec<String>, Vec<TokenType>), FamilyError> {
    let added = added_tokens::joined(&json.added_tokens, configured, &json.model.vocab);
    let texts = added.iter().map(|token| (token.id, &token.content));
    let all = json.model.vocab.iter().map(|(piece, id)| (*id, piece)).chain(texts);
    if let Some((id, token)) = all.clone().max_by_key(|(id, _)| *id).filter(|(id, _)| *id >= n_vocab) {
        return Err(FamilyError::Tokenizer(format!(
            "`tokenizer.json` gives `{token}` the id {id}, but the token embedding has {n_vocab} rows; resize the \
             embedding, or take the tokenizer that the model was trained with"
        )));
    }
    let mut tokens: Vec<String> = (0..n_vocab).map(|id| format!("[PAD{id}]")).collect();
    let mut types = vec![TokenType::Unused; n_vocab as usize];
    for (id, piece) in all {
        piece.clone_into(&mut tokens[id as usize]);
        types[id as usize] = TokenType::Normal;
    }
    for token in &added {
        let id = token.id as usize;
        if token.is_control() {
            types[id] = TokenType::Control;
        } else {
            // Such a token is searched in text with plain spaces.
            tokens[id] = token.content.replace('▁', " ");
            types[id] = TokenType::UserDefined;
        }
    }
    Ok((tokens, types))
}
