//! The facts of a bundle that are known before the build; its documents state them.

use mc_digest::content_hash::ContentHash;
use mc_exporter::identity::Identity;

use crate::export::export_info::TypeShare;
use crate::ship::device::DeviceInfo;
use crate::ship::layout::{self, LAYOUTS, Layout, Parts, Placed};
use crate::ship::memory::MemoryEstimate;
use crate::ship::shipped_model::Described;

/// The documents that every bundle has, besides its license texts.
pub(crate) const MANIFEST: &str = "manifest.json";
pub(crate) const CARD: &str = "README.md";
pub(crate) const MODELFILE: &str = "Modelfile";
pub(crate) const CHECKSUMS: &str = "SHA256SUMS";

/// Facts about the model of a bundle. All are known before the build.
#[derive(Clone, ContentHash, Debug)]
#[content("package")]
pub(crate) struct Package {
    /// The target.
    #[content("target")]
    pub(crate) target: String,
    /// The names of the model's files: one, or several if it is split; the first is the one to open.
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
    /// Its encoding.
    #[content("recipe")]
    pub(crate) recipe: String,
    /// The types of its tensors.
    #[content("types")]
    pub(crate) types: Vec<TypeShare>,
    /// The device to which it ships.
    #[content("device")]
    pub(crate) device: Option<DeviceInfo>,
    /// Number of context tokens in the memory estimate.
    #[content("n-ctx")]
    pub(crate) n_ctx: u64,
    /// Its estimated memory.
    #[content("memory")]
    pub(crate) memory: MemoryEstimate,
    /// Number of its parameters.
    #[content("n-parameters")]
    pub(crate) n_parameters: u64,
    /// The facts that are published about it.
    #[content("identity")]
    pub(crate) identity: Identity,
    /// Its task, in the terms of model hubs.
    #[content("pipeline-tag")]
    pub(crate) pipeline_tag: Option<String>,
    /// The relation to its sources, in the terms of model hubs.
    #[content("relation")]
    pub(crate) relation: &'static str,
    /// Recommended sampling parameters: names and numbers exactly as in `generation_config.json`.
    #[content("sampling")]
    pub(crate) sampling: Vec<(String, String)>,
    /// The names of the license texts.
    #[content("licenses")]
    pub(crate) licenses: Vec<String>,
    /// The checkpoints and the adapters.
    #[content("sources")]
    pub(crate) sources: Vec<SourceFacts>,
    /// The text on which it was calibrated.
    #[content("calibration")]
    pub(crate) calibration: Option<String>,
    /// True if a verdict is among the inputs.
    #[content("has-gate")]
    pub(crate) has_gate: bool,
    /// The adapter files next to the model.
    #[content("adapters")]
    pub(crate) adapters: Vec<String>,
    /// The source of the facts about the model, if its file does not describe itself.
    #[content("described")]
    pub(crate) described: Option<Described>,
    /// The layout, if it is not the default.
    #[content("layout")]
    pub(crate) layout: Option<String>,
    /// The file that is cut into parts.
    #[content("parts")]
    pub(crate) parts: Option<Parts>,
}

/// A file of the model in a bundle.
pub(crate) struct ModelFile {
    /// Its path in the bundle.
    pub(crate) name: String,
    /// The index of its input.
    pub(crate) input: usize,
    /// The number of the part and the count of parts, if the input is cut.
    pub(crate) part: Option<(u64, u64)>,
}

/// A checkpoint or an adapter from which the model was made.
#[derive(Clone, ContentHash, Debug)]
#[content("source-facts")]
pub(crate) struct SourceFacts {
    /// `base`, `adapter.0` and so on.
    #[content("role")]
    pub(crate) role: String,
    /// The name of its target.
    #[content("name")]
    pub(crate) name: String,
    /// Its repository on Hugging Face.
    #[content("repository")]
    pub(crate) repository: Option<String>,
    /// The revision that was used.
    #[content("revision")]
    pub(crate) revision: Option<String>,
    /// The URL of that revision.
    #[content("url")]
    pub(crate) url: Option<String>,
    /// The short name of its license.
    #[content("license")]
    pub(crate) license: Option<String>,
    /// True for a checkpoint, false for an adapter.
    #[content("is-checkpoint")]
    pub(crate) is_checkpoint: bool,
    /// The names of its tensors, from which its digest is computed.
    #[content("tensors")]
    pub(crate) tensors: Vec<String>,
}

impl Package {
    /// Returns the file to open.
    pub(crate) fn main_file(&self) -> &str {
        self.files.first().map_or("", String::as_str)
    }

    /// The index of the first license text among the inputs, after the model and the verdict.
    pub(crate) fn first_license(&self) -> usize {
        1 + usize::from(self.has_gate)
    }

    /// The index of the first adapter among the inputs.
    pub(crate) fn first_adapter(&self) -> usize {
        self.first_license() + self.licenses.len()
    }

    /// The layout of the bundle.
    pub(crate) fn layout(&self) -> &'static Layout {
        self.layout.as_deref().and_then(layout::by_name).unwrap_or(&LAYOUTS[0])
    }

    /// The files of the model as they are in the bundle.
    pub(crate) fn model_files(&self) -> Vec<ModelFile> {
        let first = if self.files.len() == 1 { 0 } else { self.first_shard() };
        let folder = (self.layout().folder)(&self.name);
        let mut files = Vec::new();
        for ((index, name), input) in (0..).zip(&self.files).zip(first..) {
            match self.parts.as_ref().filter(|parts| parts.file == index) {
                None => files.push(ModelFile { name: name.clone(), input, part: None }),
                Some(parts) => files.extend((0..parts.count).map(|number| {
                    let name = format!("{folder}{}", parts.part_name(number));
                    ModelFile { name, input, part: Some((number, parts.count)) }
                })),
            }
        }
        files
    }

    /// The files that the layout adds: paths in the bundle, and texts.
    pub(crate) fn added_files(&self) -> Vec<(String, String)> {
        let main_file = self.main_file();
        let placed = Placed {
            name: &self.name,
            version: &self.version,
            main_file: main_file.rsplit('/').next().unwrap_or(main_file),
            parts: self.parts.as_ref(),
        };
        self.layout().added_files(&placed)
    }

    /// The index of the first of the model's files among the inputs, if there are several.
    fn first_shard(&self) -> usize {
        self.first_adapter() + self.adapters.len()
    }

    /// The index of the first tensor of the sources among the inputs.
    pub(crate) fn first_source(&self) -> usize {
        // A single file is input 0, which is already counted.
        self.first_shard() + if self.files.len() == 1 { 0 } else { self.files.len() }
    }

    /// The index of the first file of the checkpoint among the inputs, if the model's file does not describe itself.
    pub(crate) fn first_token_file(&self) -> usize {
        self.first_source() + self.sources.iter().map(|source| source.tensors.len()).sum::<usize>()
    }

    /// Returns true if the bundle has a [`MODELFILE`]: only GGUF runs in Ollama.
    pub(crate) fn has_modelfile(&self) -> bool {
        self.described.is_none()
    }

    /// The names of all files of the bundle.
    pub(crate) fn output_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.model_files().into_iter().map(|file| file.name).collect();
        names.extend(self.added_files().into_iter().map(|(name, _)| name));
        names.extend([MANIFEST, CARD].map(str::to_owned));
        names.extend(self.has_modelfile().then(|| MODELFILE.to_owned()));
        names.extend(self.licenses.iter().cloned());
        names.extend(self.adapters.iter().cloned());
        names.push(CHECKSUMS.to_owned());
        names
    }

    /// The license in the terms of model hubs: `other` if there are only texts.
    pub(crate) fn license(&self) -> Option<&str> {
        let texts = (!self.licenses.is_empty()).then_some("other");
        self.identity.license.as_deref().or(texts)
    }

    /// The address of the license's text: the published one, or the first license file of the bundle.
    pub(crate) fn license_link(&self) -> Option<&str> {
        let text = self.licenses.first().filter(|_| self.license() == Some("other"));
        self.identity.license_link.as_deref().or(text.map(String::as_str))
    }

    /// The names of the checkpoints from which it was made, as on model hubs.
    pub(crate) fn base_models(&self) -> Vec<&str> {
        let checkpoints = self.sources.iter().filter(|source| source.is_checkpoint);
        let mut names: Vec<&str> = Vec::new();
        for source in checkpoints {
            let name = source.repository.as_deref().unwrap_or(&source.name);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Its task; by default text generation, because all supported models generate text.
    pub(crate) fn pipeline_tag(&self) -> &str {
        self.pipeline_tag.as_deref().unwrap_or("text-generation")
    }
}
