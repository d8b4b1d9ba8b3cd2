//! The action that writes the files of a model in any format: it writes the parts that the format defines and joins
//! the blobs of the tensors.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use mc_digest::digest::BlobDigest;
use mc_encoding::stored_form::StoredForm;
use mc_exporter::export_settings::ExportSettings;
use mc_exporter::exporter::Exporter;
use mc_exporter::identity::Identity;
use mc_exporter::model_description::ModelDescription;
use mc_exporter::model_facts::{ModelFacts, SamplingDefaults};
use mc_exporter::plane::{EncodedTensor, Part, Plane};
use mc_exporter::source_file::SourceFile;
use mc_exporter::written_file::WrittenFile;
use mc_ir::action::{
    Action, ActionContext, ActionError, ActionKind, Input, OutputReader, head_pieces, write_bytes,
};
use mc_ir::output::{Output, Outputs};
use mc_ir::parameters::{Parameters, list};

use crate::calibrate::imatrix::ImatrixInfo;
use crate::export::tensor_actions::{Plan, Planned};
use crate::quantize::tensor_report;
use crate::source::about::Change;
use crate::source::export_tensors::described;
use crate::source::file_head::format_error;
use crate::source::model_info::{HEAD, ModelFiles, ModelInfo, file_name_of};
use crate::source::source_digests::{self, tensor_names};
use crate::source::token_files::{Contents, vocabulary_of};

/// The output that holds the reports of its tensors.
pub(crate) const REPORTS_FILE: &str = "tensors.json";

/// Writes the files of a model.
pub(crate) struct Container {
    exporter: &'static dyn Exporter,
    /// The outputs that hold the model.
    files: Vec<String>,
    name: String,
    model: ModelInfo,
    identity: Identity,
    recipe: String,
    imatrix: Option<String>,
    settings: ExportSettings,
    tensors: Vec<EncodedTensor>,
    planes: Vec<Plane>,
}

impl Container {
    /// The files of these tensors.
    ///
    /// * `name`: the model's name, and the facts that are published about it
    /// * `recipe`: its encoding
    /// * `imatrix`: the imatrix of the declaration; it is named in the file if a tensor was weighed by it
    pub(crate) fn new(
        exporter: &'static dyn Exporter,
        (name, identity): (&str, Identity),
        recipe: &str,
        model: &ModelInfo,
        imatrix: Option<&ImatrixInfo>,
        settings: &ExportSettings,
        Plan { tensors, planned }: &Plan,
    ) -> Self {
        let planes: Vec<Plane> = planned.iter().map(|tensor| tensor.plane.clone()).collect();
        let names = checkpoint_names(&model.files);
        let files: Vec<SourceFile<'_>> = names.iter().map(|name| SourceFile { name, bytes: None }).collect();
        let description = ModelDescription { files: &files, settings, ..described(model) };
        Self {
            exporter,
            files: exporter.files(&description, &planes),
            name: name.to_owned(),
            model: model.clone(),
            identity,
            recipe: recipe.to_owned(),
            imatrix: imatrix.filter(|_| planned.iter().any(|tensor| tensor.is_weighed)).map(|imatrix| {
                imatrix.calibration.as_ref().map_or_else(|| imatrix.name.clone(), |data| data.name.clone())
            }),
            settings: settings.clone(),
            tensors: tensors.clone(),
            planes,
        }
    }

    /// Returns the names of the files, the one to open first.
    pub(crate) fn files(&self) -> &[String] {
        &self.files
    }

    /// Returns the tokenizer's files, then the sources of the weights for the lineage, then the tensors, then
    /// their reports.
    pub(crate) fn inputs(&self, planned: &[Planned]) -> Vec<Input> {
        let files = self.model.files.tokenizer_sources().into_iter().map(|(_, source)| Input::Source(source));
        let sources = self.model.lineage.iter().flat_map(|lineage| &lineage.tensors);
        let sources = sources.map(|(_, source)| Input::Source(source.clone()));
        let tensors = planned.iter().map(|tensor| Input::Artifact(tensor.artifact.clone()));
        let reports = reported(planned.iter().map(|tensor| &tensor.plane)).zip(planned);
        let reports = reports
            .filter(|(is_first, _)| *is_first)
            .map(|(_, tensor)| Input::Artifact(tensor.report.clone()));
        files.chain(sources).chain(tensors).chain(reports).collect()
    }

    /// The name and the digest of each source.
    fn sources(&self, ctx: &dyn ActionContext, first: usize) -> Vec<(String, String)> {
        let tensors = tensor_names(&self.model);
        let digests = source_digests::digests(ctx, &tensors, first);
        let notes = self.model.lineage.iter().zip(digests).flat_map(|(lineage, digest)| {
            [
                (format!("source.{}.name", lineage.role), lineage.label.name.clone()),
                (format!("source.{}.digest", lineage.role), digest),
            ]
        });
        notes.collect()
    }

    /// Returns the origin of the file.
    fn lineage(&self, ctx: &dyn ActionContext, first: usize) -> Vec<(String, String)> {
        let note = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut notes = vec![note("version", env!("CARGO_PKG_VERSION")), note("recipe", &self.recipe)];
        notes.extend(self.imatrix.iter().map(|imatrix| note("imatrix", imatrix)));
        notes.extend(self.sources(ctx, first));
        notes
    }

    fn facts(&self, contents: &Contents, lineage: Vec<(String, String)>) -> ModelFacts {
        let json = |role: &str| {
            contents.get(role).and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok())
        };
        ModelFacts {
            name: self.name.clone(),
            recipe: self.recipe.clone(),
            identity: self.identity.clone(),
            is_changed: self.model.about.change != Change::None,
            has_head_dim: json("config")
                .is_some_and(|config| config.get("head_dim").is_some_and(|dim| !dim.is_null())),
            sampling: json("generation_config").map(|config| sampling(&config)).unwrap_or_default(),
            lineage,
        }
    }

    /// Returns the files as lists of parts.
    fn parts(&self, ctx: &dyn ActionContext) -> Result<Vec<WrittenFile>, ActionError> {
        let files = self.model.files.tokenizer_sources();
        let contents = Contents::read(ctx, &files)?;
        let is_of_format = |format: &str| format == self.exporter.name();
        let head = self.model.files.head.as_ref().filter(|head| is_of_format(head.format));
        let origin = head.and_then(|_| contents.get(HEAD));
        // Only an adapter or a blend has another vocabulary than the head.
        let is_own = head.is_some_and(|head| self.model.files.vocabulary.as_ref() == Some(&head.source));
        let vocabulary = (!is_own).then(|| vocabulary_of(&contents, &self.model.decoder)).transpose()?;
        let facts = self.facts(&contents, self.lineage(ctx, files.len()));
        let bytes: Vec<(&str, Cow<'_, [u8]>)> =
            files.iter().filter_map(|(role, _)| Some((file_name_of(role)?, contents.get(role)?))).collect();
        let sources: Vec<SourceFile<'_>> =
            bytes.iter().map(|(name, bytes)| SourceFile { name, bytes: Some(bytes) }).collect();
        let description = ModelDescription {
            vocabulary: vocabulary.as_ref(),
            facts: Some(&facts),
            origin: origin.as_deref(),
            files: &sources,
            settings: &self.settings,
            ..described(&self.model)
        };
        let written = self.exporter.write(&description, &self.tensors, &self.planes).map_err(format_error)?;
        let names: Vec<&String> = written.iter().map(|file| &file.name).collect();
        if names.iter().copied().ne(&self.files) {
            let (title, expected) = (self.exporter.title(), self.files.join(", "));
            return Err(ActionError::failed(format!("{title} wrote other files than planned: {expected}")));
        }
        Ok(written)
    }

    /// Returns the composite of these pieces.
    ///
    /// * `first`: the input that is the first plane
    fn composite(
        &self,
        ctx: &dyn ActionContext,
        parts: &[Part],
        first: usize,
    ) -> Result<Vec<BlobDigest>, ActionError> {
        let mut blobs = Vec::new();
        let mut zeros: BTreeMap<u64, BlobDigest> = BTreeMap::new();
        for part in parts {
            match part {
                Part::Bytes(bytes) => {
                    for piece in head_pieces(bytes) {
                        blobs.push(write_bytes(ctx, piece)?);
                    }
                }
                Part::Plane(number) => {
                    let digest = ctx.input_digest(first + number);
                    check_length(&self.planes[*number], digest.n_bytes())?;
                    blobs.extend(digest.parts());
                }
                Part::Zeros(n_bytes) => {
                    let blob = match zeros.get(n_bytes) {
                        Some(known) => *known,
                        None => write_bytes(ctx, &vec![0; *n_bytes as usize])?,
                    };
                    zeros.insert(*n_bytes, blob);
                    blobs.push(blob);
                }
                Part::Source(name) => blobs.push(self.source(ctx, name)?),
            }
        }
        Ok(blobs)
    }

    /// Stores a file of the checkpoint.
    fn source(&self, ctx: &dyn ActionContext, name: &str) -> Result<BlobDigest, ActionError> {
        let files = self.model.files.tokenizer_sources();
        let index = files.iter().position(|(role, _)| file_name_of(role) == Some(name));
        let index =
            index.ok_or_else(|| ActionError::failed(format!("The checkpoint has no file `{name}`")))?;
        write_bytes(ctx, &ctx.input(index)?.to_contiguous())
    }
}

/// Returns the paths of the files around the weights in a checkpoint.
pub(crate) fn checkpoint_names(files: &ModelFiles) -> Vec<String> {
    let files = files.tokenizer_sources();
    files.iter().filter_map(|(role, _)| file_name_of(role)).map(str::to_owned).collect()
}

/// Returns for each plane whether it is the first one of its tensor, for which the tensor's report is read.
fn reported<'a>(planes: impl Iterator<Item = &'a Plane>) -> impl Iterator<Item = bool> {
    let mut seen = BTreeSet::new();
    planes.map(move |plane| seen.insert(plane.tensor))
}

/// Returns the sampling parameters that the model's publisher recommends, unchanged.
fn sampling(config: &serde_json::Value) -> SamplingDefaults {
    let number = |key: &str| config.get(key).and_then(serde_json::Value::as_f64);
    SamplingDefaults {
        top_k: number("top_k").map(|number| number as i32),
        top_p: number("top_p").map(|number| number as f32),
        min_p: number("min_p").map(|number| number as f32),
        temperature: number("temperature").map(|number| number as f32),
        repetition_penalty: number("repetition_penalty").map(|number| number as f32),
    }
}

fn check_length(plane: &Plane, n_bytes: u64) -> Result<(), ActionError> {
    if n_bytes == plane.n_bytes {
        return Ok(());
    }
    let Plane { name, n_bytes: place, .. } = plane;
    Err(ActionError::failed(format!("Tensor `{name}` has {n_bytes} bytes; its place has {place}")))
}

/// Adds the form of a tensor in planes. Blocks are named by the type of their plane.
fn with_form(parameters: Parameters, tensor: &EncodedTensor) -> Parameters {
    match tensor.form {
        StoredForm::Blocks(_) => parameters,
        StoredForm::Planes { .. } => {
            parameters.text(tensor.tensor.to_string(), format_args!("{} {}", tensor.form, tensor.name))
        }
    }
}

/// Adds the type and the dimensions of a plane.
pub(crate) fn with_plane(parameters: Parameters, plane: &Plane) -> Parameters {
    parameters.text(&plane.name, format_args!("{} {}", plane.kind, list(&plane.dims)))
}

impl Action for Container {
    fn kind(&self) -> ActionKind {
        ActionKind { name: self.exporter.name(), version: self.exporter.version() }
    }

    fn parameters(&self) -> Vec<(String, String)> {
        let roles: Vec<String> =
            self.model.files.tokenizer_sources().into_iter().map(|(role, _)| role).collect();
        let mut parameters = Parameters::new()
            .text("name", &self.name)
            .text("recipe", &self.recipe)
            .text("tool", env!("CARGO_PKG_VERSION"))
            .text("files", roles.join(" "))
            .content("identity", &self.identity)
            .text("changed", self.model.about.change != Change::None)
            .option("imatrix", self.imatrix.as_ref())
            // The configuration's bytes are an input, but our interpretation of them may change.
            .content("decoder", &self.model.decoder);
        for lineage in self.model.lineage.iter() {
            let names: Vec<&str> = lineage.tensors.iter().map(|(name, _)| name.as_str()).collect();
            let names = format!("{} {}", lineage.label.name, names.join(" "));
            parameters = parameters.text(&lineage.role, names);
        }
        if self.settings != *ExportSettings::NONE {
            parameters = parameters.content("settings", &self.settings);
        }
        parameters = self.tensors.iter().fold(parameters, with_form);
        self.planes.iter().fold(parameters, with_plane).into_pairs()
    }

    fn outputs(&self) -> Vec<String> {
        self.files.iter().map(String::as_str).chain([REPORTS_FILE]).map(str::to_owned).collect()
    }

    fn reader(&self, output: &str) -> Option<OutputReader> {
        let reader: OutputReader =
            |bytes| tensor_report::read(bytes).map(drop).map_err(|error| error.to_string());
        (output == REPORTS_FILE).then_some(reader)
    }

    fn describe(&self) -> String {
        format!("{} {}", self.name, self.recipe)
    }

    fn run(&self, ctx: &dyn ActionContext) -> Result<Outputs, ActionError> {
        let written = self.parts(ctx)?;
        let n_sources: usize = self.model.lineage.iter().map(|lineage| lineage.tensors.len()).sum();
        let first = self.model.files.tokenizer_sources().len() + n_sources;
        let mut outputs = Outputs::new();
        for WrittenFile { name, parts } in written {
            outputs.insert(name, Output::Composite(self.composite(ctx, &parts, first)?));
        }
        let mut reports = Vec::new();
        let firsts = reported(self.planes.iter()).zip(&self.planes).filter(|(is_first, _)| *is_first);
        for (index, (_, plane)) in firsts.enumerate() {
            let report = ctx.input(first + self.planes.len() + index)?;
            reports.push((plane.name.as_str(), report.to_contiguous().into_owned()));
        }
        let reports = tensor_report::join(reports.into_iter()).map_err(ActionError::failed)?;
        let reports = write_bytes(ctx, &reports)?;
        outputs.insert(REPORTS_FILE.to_owned(), Output::File(reports));
        Ok(outputs)
    }
}
