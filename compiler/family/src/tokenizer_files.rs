//! Files of a checkpoint that define its tokens.

/// The name of the tokenizer's configuration.
pub const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
/// The name of the file with the special tokens' texts.
pub const SPECIAL_TOKENS_MAP: &str = "special_tokens_map.json";
/// The name of the file with the defaults of generation.
pub const GENERATION_CONFIG: &str = "generation_config.json";

/// The bytes of a checkpoint's files that define its tokens.
///
/// Either `tokenizer` or `tokenizer_model` must be present.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokenizerFiles<'a> {
    /// `config.json`.
    pub config: &'a [u8],
    /// `tokenizer.json`.
    pub tokenizer: Option<&'a [u8]>,
    /// `tokenizer.model`.
    pub tokenizer_model: Option<&'a [u8]>,
    /// `tokenizer_config.json`.
    pub tokenizer_config: Option<&'a [u8]>,
    /// `added_tokens.json`.
    pub added_tokens: Option<&'a [u8]>,
    /// `special_tokens_map.json`.
    pub special_tokens_map: Option<&'a [u8]>,
    /// `generation_config.json`.
    pub generation_config: Option<&'a [u8]>,
    /// `chat_template.jinja`.
    pub chat_template: Option<&'a [u8]>,
    /// `chat_template.json`.
    pub chat_template_json: Option<&'a [u8]>,
    /// The files of `additional_chat_templates`, each with its name.
    pub additional_chat_templates: &'a [(&'a str, &'a [u8])],
}
