//! `bundle`: a folder for an app team to ship: the model, the facts about it, and the licenses.
//!
//! A bundle requires a passed gate, and a device whose app memory can hold the model. It only joins existing artifacts.

use mc_exporter::exporter::Release;
use mc_ir::action::{Action, ActionContext, ActionError, ActionKind, Content, Input, Piece, write_bytes};
use mc_ir::attribute::{Placed, Record};
use mc_ir::output::{Output, Outputs};
use mc_ir::parameters::Parameters;
use mc_ir::provider::Providers;
use mc_ir::rule::{Rule, RuleContext};
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Arguments, ChildSchema, NodeSchema, Occurs, ValueKind};

use crate::action::tags::TAGS;
use crate::action::target_action::target_action;
use crate::attributes::{label, place_of, provider, text};
use crate::evaluate::gate::GateInfo;
use crate::evaluate::verdict::{Verdict, megabytes};
use crate::export::adapter_gguf::AdapterGgufInfo;
use crate::export::export_info::ExportInfo;
use crate::export::model_node::{MODEL, MODEL_EXPECTED, OLD_MODEL, exported_model};
use crate::exporters;
use crate::ship::bundle_file::{BundleFile, checksums};
use crate::ship::device::DeviceInfo;
use crate::ship::layout::{
    self, DEFAULT_PART_BYTES, LAYOUT, LAYOUTS, Layout, MAX_PART_SIZE, MAX_PARTS, Parts,
};
use crate::ship::manifest::Manifest;
use crate::ship::memory::{MemoryEstimate, estimate};
use crate::ship::model_card::ModelCard;
use crate::ship::modelfile;
use crate::ship::package::{CARD, CHECKSUMS, MANIFEST, MODELFILE, ModelFile, Package, SourceFacts};
use crate::ship::prompt::Prompt;
use crate::ship::shipped_model::{Described, ShippedModel};
use crate::source::about::Change;
use crate::source::model_info::Lineage;
use crate::source::source_digests;

/// The rule's name.
pub const NAME: &str = "bundle";

/// The `bundle` rule.
pub struct Bundle;

static ADAPTER: NodeSchema = NodeSchema::leaf(
    "adapter",
    "An adapter that the app may add to the model: an `adapter-gguf` target.",
    ValueKind::Label,
);
static GATE: NodeSchema =
    NodeSchema::leaf("gate", "Conditions that must hold before anything is published.", ValueKind::Label);
static DEVICE: NodeSchema =
    NodeSchema::leaf("device", "The device to which it ships; any by default.", ValueKind::Label);

/// Number of tokens that the app keeps; for this rule and for `model`.
pub(crate) static CONTEXT: NodeSchema = NodeSchema::leaf(
    "context",
    "Tokens that the app will keep in its cache; by default the model's training context, at most 4096.",
    ValueKind::Integer,
);

/// The version in the file's name; for this rule and for `model`.
pub(crate) static VERSION: NodeSchema = NodeSchema::leaf(
    "version",
    "The model's version, in the name of its file: numbers with dots; by default `1.0`.",
    ValueKind::Text,
);

static SCHEMA: NodeSchema = NodeSchema {
    name: NAME,
    doc: "A folder to ship: the model, its manifest, its card and its licenses.",
    arguments: Arguments::None,
    properties: &[],
    children: &[
        ChildSchema { node: &MODEL, occurs: Occurs::Optional },
        ChildSchema { node: &OLD_MODEL, occurs: Occurs::Optional },
        ChildSchema { node: &ADAPTER, occurs: Occurs::Any },
        ChildSchema { node: &GATE, occurs: Occurs::Optional },
        ChildSchema { node: &DEVICE, occurs: Occurs::Optional },
        ChildSchema { node: &CONTEXT, occurs: Occurs::Optional },
        ChildSchema { node: &VERSION, occurs: Occurs::Optional },
        ChildSchema { node: &LAYOUT, occurs: Occurs::Optional },
        ChildSchema { node: &TAGS, occurs: Occurs::Optional },
    ],
};

/// The default context of an app.
const DEFAULT_CONTEXT: u64 = 4096;

impl Rule for Bundle {
    fn schema(&self) -> &'static NodeSchema {
        &SCHEMA
    }

    fn analyze(&self, ctx: &dyn RuleContext) -> Result<Providers, Vec<RuleError>> {
        let record = ctx.record();
        let named = exported_model(record)?;
        let export: Result<ExportInfo, _> = provider(ctx, &named, MODEL_EXPECTED);
        let gate = label(record, "gate").map(|gate| provider::<GateInfo>(ctx, &gate, "a `gate`")).transpose();
        let device = label(record, "device")
            .map(|device| provider::<DeviceInfo>(ctx, &device, "a `device`"))
            .transpose();
        let (export, gate, device) = match (export, gate, device) {
            (Ok(export), Ok(gate), Ok(device)) => (export, gate, device),
            (export, gate, device) => {
                return Err([export.err(), gate.err(), device.err()]
                    .into_iter()
                    .flatten()
                    .flatten()
                    .collect());
            }
        };
        let adapters = adapters(ctx, &export)?;
        let n_ctx = context(record, &export)?;
        let version = version(record)?;
        let memory = estimate(&export.model.decoder, export.n_tensor_bytes, n_ctx);
        if let Some(device) = &device {
            fits(record, device, &export, &memory, n_ctx)?;
        }
        let names = file_names(&export, &version);
        let layout = text(record, LAYOUT.name).and_then(layout::by_name).unwrap_or(&LAYOUTS[0]);
        let parts = parts(record, layout, &export, &names)?;
        let folder = (layout.folder)(&export.name);
        let package = Package {
            target: ctx.label().to_string(),
            files: names.iter().map(|name| format!("{folder}{name}")).collect(),
            format: export.format,
            name: export.name.clone(),
            version,
            recipe: export.recipe.clone(),
            types: export.types.clone(),
            device,
            n_ctx,
            memory,
            n_parameters: export.model.n_parameters(),
            identity: export.identity.clone(),
            pipeline_tag: export.model.about.pipeline_tag.clone(),
            relation: relation(export.model.about.change),
            sampling: export.model.about.sampling.clone(),
            licenses: export.model.files.licenses.iter().map(|(_, name)| name.clone()).collect(),
            sources: sources(&export),
            calibration: export.calibration.as_ref().map(|data| data.name.clone()),
            has_gate: gate.is_some(),
            adapters: adapters.iter().map(|adapter| adapter.file.clone()).collect(),
            described: Described::of(export.format, &export.model),
            layout: (layout.name != LAYOUTS[0].name).then(|| layout.name.to_owned()),
            parts,
        };
        let mut inputs = vec![Input::Artifact(export.whole.clone())];
        inputs.extend(gate.iter().map(|gate| Input::Artifact(gate.verdict.clone())));
        inputs.extend(export.model.files.licenses.iter().map(|(source, _)| Input::Source(source.clone())));
        inputs.extend(adapters.into_iter().map(|adapter| Input::Artifact(adapter.gguf)));
        // A single file is already the first input.
        let files = export.files.iter().filter(|_| export.files.len() > 1);
        inputs.extend(files.cloned().map(Input::Artifact));
        inputs.extend(source_digests::inputs(&export.model));
        if package.described.is_some() {
            inputs.extend(Described::inputs(&export.model));
        }
        let names = package.output_names();
        // The files of a folder have the names that runtimes require, so only the folder's name tells models apart.
        let is_folder = !has_release_names(&export);
        let files = package.files.iter().cloned().zip(export.files.iter().cloned());
        let releases = files.filter(|_| !is_folder).collect();
        let node = target_action(ctx.label(), record, package, inputs);
        // `mc run` and `mc inspect` read the model in a bundle through this provider.
        let mut providers = Providers::default().with(export);
        providers.outputs = names.into_iter().map(|name| (name.clone(), node.artifact(&name))).collect();
        providers.releases = releases;
        providers.gates = gate.into_iter().map(|gate| gate.verdict).collect();
        Ok(providers)
    }
}

/// Returns the adapters, each of which must belong to the model's checkpoint.
fn adapters(ctx: &dyn RuleContext, export: &ExportInfo) -> Result<Vec<AdapterGgufInfo>, Vec<RuleError>> {
    let mut adapters: Vec<AdapterGgufInfo> = Vec::new();
    let mut rule_errors = Vec::new();
    let base = export.model.lineage.first().map(|lineage| &lineage.label);
    for child in ctx.record().children("adapter") {
        let Some(placed) = child.argument() else { continue };
        let Some(value) = placed.value.as_label().cloned() else { continue };
        let named = Placed { value, place: placed.place };
        match provider::<AdapterGgufInfo>(ctx, &named, "an `adapter-gguf` target") {
            Ok(adapter) if base != Some(&adapter.base) => {
                let message = format!(
                    "`{}` was trained on `{}`, which is not the model's base",
                    named.value, adapter.base
                );
                rule_errors.push(RuleError::new(named.place, "bundle::adapter", message));
            }
            Ok(adapter) if adapters.iter().any(|known| known.file == adapter.file) => {
                let message = format!("Two adapters of the bundle have the name `{}`", adapter.file);
                rule_errors.push(RuleError::new(named.place, "bundle::adapter", message));
            }
            Ok(adapter) => adapters.push(adapter),
            Err(found) => rule_errors.extend(found),
        }
    }
    if rule_errors.is_empty() { Ok(adapters) } else { Err(rule_errors) }
}

fn context(record: &Record, export: &ExportInfo) -> Result<u64, Vec<RuleError>> {
    let trained = u64::from(export.model.decoder.context_length);
    let asked = record.value("context").and_then(|context| context.value.as_integer());
    match asked.map(|asked| u64::try_from(asked).unwrap_or(0)) {
        None => Ok(DEFAULT_CONTEXT.min(trained)),
        Some(asked) if (1..=trained).contains(&asked) => Ok(asked),
        Some(asked) => {
            let message = format!(
                "A context of {asked} tokens is out of range; the model's training context is {trained}"
            );
            Err(vec![RuleError::new(place_of(record, "context"), "bundle::context", message)])
        }
    }
}

fn version(record: &Record) -> Result<String, Vec<RuleError>> {
    let version = text(record, "version").unwrap_or("1.0");
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if version.split('.').all(is_number) {
        return Ok(version.to_owned());
    }
    let message = format!("`{version}` is not a version; expected numbers with dots, such as `1.0`");
    Err(vec![RuleError::new(place_of(record, "version"), "bundle::version", message)])
}

/// The file that is cut into parts, if the layout does that and the weights are larger than its limit.
fn parts(
    record: &Record,
    layout: &Layout,
    export: &ExportInfo,
    names: &[String],
) -> Result<Option<Parts>, Vec<RuleError>> {
    let stated = record.child(LAYOUT.name).and_then(|node| node.property(MAX_PART_SIZE.name));
    if let Some(stated) = stated.filter(|_| !layout.has_parts) {
        let message = format!("The layout `{}` has no parts", layout.name);
        return Err(vec![
            RuleError::new(stated.place, "bundle::layout", message).help("Leave out `max-part-size`"),
        ]);
    }
    let max_bytes = stated.and_then(|stated| stated.value.as_bytes()).unwrap_or(DEFAULT_PART_BYTES).max(1);
    // The weights are in the only file, or beside the graph.
    let weights = names.iter().position(|name| names.len() == 1 || name.ends_with(".data"));
    let Some(file) = weights.filter(|_| layout.has_parts) else { return Ok(None) };
    // The rest of the file is not known before the build; it is a small share of the weights and of the vocabulary.
    let n_vocab = u64::from(export.model.decoder.n_vocab);
    let n_bytes = export.n_tensor_bytes + export.n_tensor_bytes / 64 + 256 * n_vocab;
    let count = n_bytes.div_ceil(max_bytes);
    if count > MAX_PARTS {
        let place = stated.map_or(record.place, |stated| stated.place);
        let message = format!("The model would be cut into {count} parts; at most {MAX_PARTS} are possible");
        return Err(vec![
            RuleError::new(place, "bundle::layout", message).help("Declare a larger `max-part-size`"),
        ]);
    }
    let parts = Parts { file: file as u64, name: names[file].clone(), count, max_bytes };
    Ok((count > 1).then_some(parts))
}

/// The relation to the sources, in the terms of model hubs.
fn relation(change: Change) -> &'static str {
    match change {
        Change::None => "quantized",
        Change::Adapted => "finetune",
        Change::Blended => "merge",
    }
}

/// The sources of a model.
fn sources(export: &ExportInfo) -> Vec<SourceFacts> {
    let tensors = source_digests::tensor_names(&export.model);
    let of_source = |(lineage, tensors): (&Lineage, Vec<String>)| {
        let published = lineage.published.clone();
        SourceFacts {
            role: lineage.role.clone(),
            name: lineage.label.name.clone(),
            repository: published.repository,
            revision: published.revision,
            url: published.url,
            license: published.license,
            is_checkpoint: lineage.is_checkpoint(),
            tensors,
        }
    };
    export.model.lineage.iter().zip(tensors).map(of_source).collect()
}

/// The names of the model's files.
fn file_names(export: &ExportInfo, version: &str) -> Vec<String> {
    release_names(export, version).unwrap_or_else(|| export.file_names.clone())
}

/// Returns true if the names of the files tell models apart.
fn has_release_names(export: &ExportInfo) -> bool {
    release_names(export, "1.0").is_some()
}

fn release_names(export: &ExportInfo, version: &str) -> Option<Vec<String>> {
    let release = Release {
        name: &export.name,
        n_parameters: export.model.n_parameters(),
        version,
        recipe: &export.recipe,
    };
    exporters::by_name(export.format)?.file_names(&release, export.files.len())
}

fn fits(
    record: &Record,
    device: &DeviceInfo,
    export: &ExportInfo,
    memory: &MemoryEstimate,
    n_ctx: u64,
) -> Result<(), Vec<RuleError>> {
    let place = place_of(record, "device");
    if !device.formats.is_empty() && !device.formats.iter().any(|format| format == export.format) {
        let format = exporters::title(export.format);
        let message =
            format!("`{}` does not run {format}; it runs {}", device.name, device.formats.join(", "));
        return Err(vec![RuleError::new(place, "bundle::format", message)]);
    }
    match device.app_memory {
        Some(available) if memory.total() > available => {
            let message = format!(
                "The model needs {} with {n_ctx} tokens of context; an app on `{}` may use {}",
                megabytes(memory.total()),
                device.name,
                megabytes(available)
            );
            Err(vec![
                RuleError::new(place, "bundle::memory", message)
                    .help("Quantize to fewer bits, or declare a smaller `context`"),
            ])
        }
        _ => Ok(()),
    }
}

impl Action for Package {
    fn kind(&self) -> ActionKind {
        ActionKind { name: "bundle", version: 2 + mc_family::chat::VERSION }
    }

    fn parameters(&self) -> Vec<(String, String)> {
        Parameters::new().content("package", self).text("tool", env!("CARGO_PKG_VERSION")).into_pairs()
    }

    fn outputs(&self) -> Vec<String> {
        self.output_names()
    }

    fn describe(&self) -> String {
        self.main_file().to_owned()
    }

    fn run(&self, ctx: &dyn ActionContext) -> Result<Outputs, ActionError> {
        let verdict = if self.has_gate {
            let content = ctx.input(1)?;
            Some(Verdict::from_json(&content.to_contiguous()).map_err(ActionError::failed)?)
        } else {
            None
        };
        if let Some(verdict) = verdict.as_ref().filter(|verdict| !verdict.passed) {
            return Err(ActionError::GateMissed(verdict.table()));
        }
        let model = match &self.described {
            Some(described) => described.read(ctx, self.first_token_file())?,
            None => ShippedModel::of_file(ctx, 0)?,
        };
        let prompt = Prompt::new(&model.vocabulary, model.template_place).map_err(ActionError::failed)?;
        let mut outputs = Outputs::new();
        let mut copied = Copied { ctx, outputs: &mut outputs };
        let models = copied.model_files(self)?;
        let added: Vec<BundleFile> = self
            .added_files()
            .iter()
            .map(|(name, text)| copied.written(name, text))
            .collect::<Result<_, _>>()?;
        let adapters = copied.inputs(self.adapters.iter().map(String::as_str).zip(self.first_adapter()..))?;
        let licenses = copied.texts(self.licenses.iter().map(String::as_str).zip(self.first_license()..))?;
        let texts: Vec<String> = licenses.iter().map(|(_, text)| text.clone()).collect();
        let modelfile = self.has_modelfile().then(|| {
            let text = modelfile::text(self, &model.vocabulary, &prompt, &texts);
            copied.written(MODELFILE, &text)
        });
        let modelfile = modelfile.transpose()?;
        let digests = self.digests(ctx);
        let licenses: Vec<BundleFile> = licenses.into_iter().map(|(file, _)| file).collect();
        let known: Vec<&BundleFile> =
            models.iter().chain(&adapters).chain(&licenses).chain(&modelfile).chain(&added).collect();
        let card = ModelCard {
            package: self,
            architecture: &model.architecture,
            verdict: verdict.as_ref(),
            prompt: &prompt,
            digests: &digests,
            files: &known,
        };
        let card = copied.written(CARD, &card.text())?;
        let mut others: Vec<BundleFile> =
            adapters.into_iter().chain(licenses).chain(modelfile).chain(added).chain([card]).collect();
        others.sort_by(|one, other| one.name.cmp(&other.name));
        let manifest = Manifest {
            package: self,
            model: &model,
            stop: &prompt.stop,
            verdict: verdict.as_ref(),
            digests: &digests,
            models: &models,
            others: &others,
        };
        let manifest = copied.written(MANIFEST, &manifest.json()?)?;
        copied.written(CHECKSUMS, &checksums(models.iter().chain(&others).chain([&manifest])))?;
        Ok(outputs)
    }
}

impl Package {
    /// The digest of each source.
    fn digests(&self, ctx: &dyn ActionContext) -> Vec<String> {
        let tensors: Vec<Vec<String>> = self.sources.iter().map(|source| source.tensors.clone()).collect();
        source_digests::digests(ctx, &tensors, self.first_source())
    }
}

/// Cuts a range out of an input. Whole blobs are referenced; those at the ends are copied.
fn cut(
    ctx: &dyn ActionContext,
    input: usize,
    range: std::ops::Range<u64>,
) -> Result<(Output, Content), ActionError> {
    let (content, digest) = (ctx.input(input)?, ctx.input_digest(input));
    let (mut start, mut blobs, mut pieces) = (0, Vec::new(), Vec::new());
    for (blob, piece) in digest.parts().iter().zip(&content.parts) {
        let end = start + blob.n_bytes;
        let (from, to) = (range.start.clamp(start, end), range.end.clamp(start, end));
        if from < to {
            let (from, to) = ((from - start) as usize, (to - start) as usize);
            let piece =
                Piece { bytes: piece.bytes.clone(), range: piece.range.start + from..piece.range.start + to };
            let is_whole = (to - from) as u64 == blob.n_bytes;
            blobs.push(if is_whole { *blob } else { write_bytes(ctx, piece.as_slice())? });
            pieces.push(piece);
        }
        start = end;
    }
    Ok((Output::Composite(blobs), Content::of_parts(pieces)))
}

/// Adds files to a bundle.
struct Copied<'a> {
    ctx: &'a dyn ActionContext,
    outputs: &'a mut Outputs,
}

impl Copied<'_> {
    /// Adds the model's files, whole or in parts.
    fn model_files(&mut self, package: &Package) -> Result<Vec<BundleFile>, ActionError> {
        let mut files = Vec::new();
        for ModelFile { name, input, part } in package.model_files() {
            let Some((number, count)) = part else {
                files.extend(self.inputs(std::iter::once((name.as_str(), input)))?);
                continue;
            };
            let n_bytes = self.ctx.input_digest(input).n_bytes();
            let range = n_bytes * number / count..n_bytes * (number + 1) / count;
            let max_bytes = package.parts.as_ref().map_or(u64::MAX, |parts| parts.max_bytes);
            if range.end - range.start > max_bytes {
                let message = format!("`{name}` has {} bytes", range.end - range.start);
                return Err(ActionError::failed(message).with_help("Declare a larger `max-part-size`"));
            }
            let (output, content) = cut(self.ctx, input, range)?;
            files.push(BundleFile::of_content(&name, &content));
            self.outputs.insert(name, output);
        }
        Ok(files)
    }

    /// Adds inputs under other names; their blobs are referenced, not copied.
    fn inputs<'n>(
        &mut self,
        named: impl Iterator<Item = (&'n str, usize)>,
    ) -> Result<Vec<BundleFile>, ActionError> {
        let mut files = Vec::new();
        for (name, index) in named {
            files.push(BundleFile::of_content(name, &self.ctx.input(index)?));
            self.outputs.insert(name.to_owned(), self.ctx.input_digest(index));
        }
        Ok(files)
    }

    /// Adds source files under other names, and returns their texts.
    fn texts<'n>(
        &mut self,
        named: impl Iterator<Item = (&'n str, usize)>,
    ) -> Result<Vec<(BundleFile, String)>, ActionError> {
        let mut texts = Vec::new();
        for (name, index) in named {
            let content = self.ctx.input(index)?;
            let bytes = content.to_contiguous();
            self.outputs.insert(name.to_owned(), Output::File(write_bytes(self.ctx, &bytes)?));
            texts.push((BundleFile::of_bytes(name, &bytes), String::from_utf8_lossy(&bytes).into_owned()));
        }
        Ok(texts)
    }

    /// Adds a document.
    fn written(&mut self, name: &str, text: &str) -> Result<BundleFile, ActionError> {
        self.outputs.insert(name.to_owned(), Output::File(write_bytes(self.ctx, text.as_bytes())?));
        Ok(BundleFile::of_bytes(name, text.as_bytes()))
    }
}
