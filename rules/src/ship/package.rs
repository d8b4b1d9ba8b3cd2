//! The facts of a bundle that are known before anything is built; its documents say them.

use crate::ship::device::DeviceInfo;
use crate::ship::memory::MemoryEstimate;
use mc_digest::content_hash::ContentHash;

/// Facts of a bundle about its model, all of them known before anything is built.
#[derive(Clone, ContentHash, Debug)]
#[content("package")]
pub(crate) struct Package {
    /// The target.
    #[content("target")]
    pub(crate) target: String,
    /// The names of the model's files: one, or those that it is spread over, the first of which is to be opened.
    #[content("files")]
    pub(crate) files: Vec<String>,
    /// The format of these files.
    #[content("format")]
    pub(crate) format: &'static str,
    /// The model's name.
    #[content("name")]
    pub(crate) name: String,
    /// Its version.
    #[content("version")]
    pub(crate) version: String,
    /// How it is quantized.
    #[content("recipe")]
    pub(crate) recipe: String,
    /// What it ships to.
    #[content("device")]
    pub(crate) device: Option<DeviceInfo>,
    /// Tokens of context that the memory is estimated for.
    #[content("n-ctx")]
    pub(crate) n_ctx: u64,
    /// What it needs.
    #[content("memory")]
    pub(crate) memory: MemoryEstimate,
    /// Number of its parameters.
    #[content("n-parameters")]
    pub(crate) n_parameters: u64,
    /// The licence's short name.
    #[content("licence")]
    pub(crate) licence: Option<String>,
    /// The names of the licence texts.
    #[content("licences")]
    pub(crate) licences: Vec<String>,
    /// The checkpoint and the adapters: role and name.
    #[content("sources")]
    pub(crate) sources: Vec<(String, String)>,
    /// What it was calibrated on.
    #[content("calibration")]
    pub(crate) calibration: Option<String>,
    /// Whether a verdict is among the inputs.
    #[content("has-gate")]
    pub(crate) has_gate: bool,
    /// The files of adapters beside the model.
    #[content("adapters")]
    pub(crate) adapters: Vec<String>,
}

impl Package {
    /// Returns the file to open.
    pub(crate) fn main_file(&self) -> &str {
        self.files.first().map_or("", String::as_str)
    }

    /// Each of the model's files and the input that holds it; `first` is that of the first of several.
    pub(crate) fn model_inputs(&self, first: usize) -> impl Iterator<Item = (&str, usize)> {
        let first = if self.files.len() == 1 { 0 } else { first };
        self.files.iter().map(String::as_str).zip(first..)
    }

    /// The names of all files of the bundle.
    pub(crate) fn output_names(&self) -> Vec<String> {
        let mut names = self.files.clone();
        names.extend(["manifest.json", "README.md", "Modelfile"].map(str::to_owned));
        names.extend(self.licences.iter().cloned());
        names.extend(self.adapters.iter().cloned());
        names
    }
}
