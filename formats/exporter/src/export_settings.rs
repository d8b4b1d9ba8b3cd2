//! The settings of an export that a target declares, besides the encoding of each tensor.

use std::collections::BTreeMap;

use mc_digest::content_hash::ContentHash;

/// The settings of an export. A format reads those that it has, and its rule accepts no others.
#[derive(Clone, ContentHash, Debug, Default, PartialEq, Eq)]
#[content("export-settings")]
pub struct ExportSettings {
    /// The word for the encoding of the matrices: [`crate::quantization::Quantization::name`].
    #[content("quantization")]
    pub quantization: String,
    /// Number of positions that the caches hold; `None` for the format's default.
    #[content("context")]
    pub context: Option<u32>,
    /// Settings that only one format has, by the name of their attribute, with their values as text.
    #[content("options", default)]
    pub options: BTreeMap<String, String>,
    /// Codes of refusals that the target overrides: [`crate::refusal::Refusal::code`].
    #[content("allowed", default)]
    pub allowed: Vec<String>,
}

impl ExportSettings {
    /// No settings.
    pub const NONE: &'static Self =
        &Self { quantization: String::new(), context: None, options: BTreeMap::new(), allowed: Vec::new() };

    /// The value of a setting that only one format has.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str)
    }

    /// Returns true if the target overrides refusals with this code.
    pub fn allows(&self, code: &str) -> bool {
        self.allowed.iter().any(|allowed| allowed == code)
    }
}
