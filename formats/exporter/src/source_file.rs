//! A file of the checkpoint that is not a weight file, such as `config.json` or `tokenizer.json`.

/// A file of the checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceFile<'a> {
    /// Its path in the folder of the checkpoint: `tokenizer.json`, `additional_chat_templates/tool_use.jinja`.
    pub name: &'a str,
    /// Its contents; `None` at analysis, when only its existence is known.
    pub bytes: Option<&'a [u8]>,
}
