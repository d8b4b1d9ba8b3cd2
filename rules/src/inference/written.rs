//! The model in files that an exporter wrote and that do not describe themselves: opened with the bytes in the files.
//!
//! The exporter finds the planes by reading the files, never by the plan by which they were written. The planes must
//! have the names, types and dimensions of the plan; the form of each tensor decodes them. The program and the
//! tokenizer are those of the model from which the files were made.

use std::collections::BTreeMap;
use std::sync::Arc;

use mc_decoder::program::Decoder;
use mc_exporter::change::Change;
use mc_exporter::exporter::Exporter;
use mc_exporter::planes_in_files::{FileBytes, FoundPlane};
use mc_ir::action::{ActionContext, ActionError, Content, Input};
use mc_runtime::backends::BackendEntry;
use mc_runtime::error::RuntimeError;
use mc_runtime::model::Model;
use mc_runtime::weight::Weight as RuntimeWeight;
use mc_runtime::weight_bytes::WeightBytes;
use mc_runtime::weights::Weights;
use mc_tensor::model_tensor::ModelTensor;
use mc_tensor::stored::Stored;

use crate::exporters;
use crate::inference::expected_tensor::{ExpectedPlane, ExpectedTensor};
use crate::inference::file_content::FileContent;
use crate::inference::opened::{Opened, dimensions, tensor_error};
use crate::inference::written_model::WrittenModel;
use crate::source::export_tensors::{change_of, described, family_of};
use crate::source::file_head::format_error;
use crate::source::model_info::ModelInfo;
use crate::source::token_files::{Contents, tokenizer_of, vocabulary_of};

/// Maximum number of differences that an error lists.
const MAX_LISTED: usize = 10;

/// The parameters that precede the tensors.
const FILES: &str = "files";
const PROGRAM: &str = "program";
const WRITTEN: &str = "written";

/// A model in files of a format that is not read back on its own.
#[derive(Clone)]
pub(crate) struct Written {
    exporter: &'static dyn Exporter,
    /// The roles of the tokenizer's files, which are the first inputs.
    roles: Vec<String>,
    /// Its program; rotary pairs as in the files.
    program: Decoder,
    /// The names of its files, which are the next inputs.
    files: Vec<String>,
    tensors: Vec<ExpectedTensor>,
}

impl Written {
    /// Creates the model; also returns the inputs of an action that measures it.
    pub(crate) fn of(format: &'static str, info: &ModelInfo, written: &WrittenModel) -> (Self, Vec<Input>) {
        let exporter = exporters::by_name(format).expect("a format that wrote files is in the table");
        let sources = info.files.tokenizer_sources();
        let inputs = sources.iter().map(|(_, source)| Input::Source(source.clone()));
        let files = written.files.iter().map(|(_, artifact)| Input::Artifact(artifact.clone()));
        let inputs = inputs.chain(files).collect();
        let tensors = (0..).zip(&written.tensors).map(|(index, of)| {
            let add = missing_addend(exporter, info, of.tensor);
            ExpectedTensor::of(of, index, &written.planes, add)
        });
        let tensors = tensors.collect::<Result<_, _>>().expect("a format lays out every plane");
        let model = Self {
            exporter,
            roles: sources.into_iter().map(|(role, _)| role).collect(),
            program: info.decoder.clone().with_pairing(exporter.pairing(&described(info))),
            files: written.files.iter().map(|(name, _)| name.clone()).collect(),
            tensors,
        };
        (model, inputs)
    }

    /// Returns the name of the format.
    pub(crate) fn format(&self) -> &'static str {
        self.exporter.name()
    }

    /// Returns the number of its inputs.
    pub(crate) fn n_inputs(&self) -> usize {
        self.roles.len() + self.files.len()
    }

    /// Returns its files, each with the index of its input.
    pub(crate) fn files(&self) -> Vec<(String, usize)> {
        self.files.iter().cloned().zip(self.roles.len()..).collect()
    }

    /// Returns every parameter that affects the model, except the inputs' bytes.
    pub(crate) fn parameters(&self) -> Vec<(String, String)> {
        let json = |value: Result<String, serde_json::Error>| value.expect("it has text keys");
        let mut parameters = vec![
            (FILES.to_owned(), self.roles.join(" ")),
            (PROGRAM.to_owned(), json(serde_json::to_string(&self.program))),
            (WRITTEN.to_owned(), json(serde_json::to_string(&self.files))),
        ];
        parameters.extend(self.tensors.iter().map(ExpectedTensor::parameter));
        parameters
    }

    /// Creates the model with these parameters.
    ///
    /// # Errors
    /// A message if no model has them.
    pub(crate) fn of_parameters(
        exporter: &'static dyn Exporter,
        parameters: &[(String, String)],
    ) -> Result<Self, String> {
        let expected = || format!("Expected the parameters `{FILES}`, `{PROGRAM}` and `{WRITTEN}`");
        let [(files, roles), (program, decoder), (written, names), tensors @ ..] = parameters else {
            return Err(expected());
        };
        if (files.as_str(), program.as_str(), written.as_str()) != (FILES, PROGRAM, WRITTEN) {
            return Err(format!("{}. Found `{files}`, `{program}` and `{written}`", expected()));
        }
        Ok(Self {
            exporter,
            roles: roles.split(' ').map(str::to_owned).collect(),
            program: serde_json::from_str(decoder)
                .map_err(|error| format!("Parameter `{PROGRAM}`: {error}"))?,
            files: serde_json::from_str(names).map_err(|error| format!("Parameter `{WRITTEN}`: {error}"))?,
            tensors: tensors.iter().map(ExpectedTensor::of_parameter).collect::<Result<_, _>>()?,
        })
    }

    /// Opens the model. Its inputs are those of the action from `first` on.
    ///
    /// # Errors
    /// Fails if its files cannot be read, or do not contain what was planned.
    pub(crate) fn open(
        &self,
        ctx: &dyn ActionContext,
        first: usize,
        backend: &BackendEntry,
    ) -> Result<Opened, ActionError> {
        let backend = backend.open().map_err(ActionError::failed)?;
        let contents = Contents::of_roles(ctx, &self.roles, first)?;
        let vocabulary = vocabulary_of(&contents, &self.program)?;
        let tokenizer = tokenizer_of(&contents, &self.program)?;
        let files = self.contents(first, &|index| ctx.input(index))?;
        let weights = self.weights(&files, &|| ctx.go_on())?;
        let model = Model::with_backend(&self.program, weights, backend).map_err(ActionError::failed)?;
        let template_place = contents.template_place();
        Ok(Opened { model, tokenizer: Arc::new(tokenizer), vocabulary, template_place })
    }

    /// Reads the weights from the files.
    fn weights(
        &self,
        files: &[FileContent],
        go_on: &dyn Fn() -> Result<(), ActionError>,
    ) -> Result<Weights, ActionError> {
        let mut weights = Weights::new();
        for (tensor, planes) in self.tensors.iter().zip(self.planes(files)?) {
            go_on()?;
            let shape = dimensions(&tensor.shape)?;
            let weight = added(tensor, RuntimeWeight::stored(shape, &tensor.form, planes))
                .map_err(|error| tensor_error(&tensor.tensor.to_string(), &error))?;
            weights.insert(tensor.tensor, weight);
        }
        Ok(weights)
    }

    /// Returns its tensors.
    pub(crate) fn tensors(&self) -> &[ExpectedTensor] {
        &self.tensors
    }

    /// Finds the planes of each tensor in its files, which `input` reads by the index of their input.
    ///
    /// # Errors
    /// Fails if the files cannot be read, or do not contain what was planned.
    pub(crate) fn open_planes(
        &self,
        input: &dyn Fn(usize) -> Result<Content, ActionError>,
    ) -> Result<Vec<Vec<WeightBytes>>, ActionError> {
        self.planes(&self.contents(0, input)?)
    }

    /// Returns the files, whose inputs follow those of the tokenizer.
    fn contents(
        &self,
        first: usize,
        input: &dyn Fn(usize) -> Result<Content, ActionError>,
    ) -> Result<Vec<FileContent>, ActionError> {
        let first = first + self.roles.len();
        let file = |(index, name): (usize, &String)| Ok(FileContent::new(name, input(index)?));
        (first..).zip(&self.files).map(file).collect()
    }

    /// Finds the planes of each tensor.
    fn planes(&self, files: &[FileContent]) -> Result<Vec<Vec<WeightBytes>>, ActionError> {
        let bytes: Vec<&dyn FileBytes> = files.iter().map(|file| file as &dyn FileBytes).collect();
        let found = self.exporter.find_planes(&bytes).map_err(format_error)?;
        let sizes: Vec<u64> = bytes.iter().map(|file| file.n_bytes()).collect();
        let located = located(&self.tensors, &found, &sizes)
            .map_err(|differences| misfit(self.exporter.title(), &differences))?;
        let read = |plane: &&FoundPlane| files[plane.file].weight_bytes(plane.range.clone());
        located.iter().map(|planes| planes.iter().map(read).collect()).collect()
    }
}

/// Returns the number that is still to be added to a tensor before it is used.
pub(crate) fn missing_addend(exporter: &dyn Exporter, info: &ModelInfo, tensor: ModelTensor) -> f32 {
    let stored = family_of(info).map(|family| family.stored(tensor)).unwrap_or_default();
    let needed = if stored == Stored::LessOne { 1.0 } else { 0.0 };
    match change_of(exporter, info, tensor) {
        Some(Change::Add(value)) => needed - value,
        Some(Change::Interleave { .. } | Change::Squeeze) | None => needed,
    }
}

/// Adds the number that the files lack.
fn added(
    tensor: &ExpectedTensor,
    weight: Result<RuntimeWeight, RuntimeError>,
) -> Result<RuntimeWeight, RuntimeError> {
    let weight = weight?;
    if tensor.add == 0.0 {
        return Ok(weight);
    }
    let values = weight.to_f32().into_iter().map(|value| value + tensor.add).collect();
    RuntimeWeight::from_f32(weight.shape().to_vec(), values)
}

/// Finds the planes of each tensor.
///
/// * `sizes`: bytes of each file
///
/// # Errors
/// A sentence for each difference between the files and the plan. Planes that no tensor has are not a difference:
/// a format may need constants of its own.
fn located<'a>(
    tensors: &[ExpectedTensor],
    found: &'a [FoundPlane],
    sizes: &[u64],
) -> Result<Vec<Vec<&'a FoundPlane>>, Vec<String>> {
    let mut by_name: BTreeMap<&str, Vec<&FoundPlane>> = BTreeMap::new();
    for plane in found {
        by_name.entry(&plane.name).or_default().push(plane);
    }
    let mut differences = Vec::new();
    let mut located = Vec::with_capacity(tensors.len());
    for tensor in tensors {
        let n_bytes = match tensor.plane_bytes() {
            Ok(n_bytes) => n_bytes,
            Err(difference) => {
                differences.push(format!("`{}`: {difference}", tensor.tensor));
                continue;
            }
        };
        let mut planes = Vec::with_capacity(tensor.planes.len());
        for (plane, n_bytes) in tensor.planes.iter().zip(n_bytes) {
            let named = by_name.get(plane.name.as_str()).map_or(&[][..], Vec::as_slice);
            match one(plane, n_bytes, named, sizes) {
                Ok(found) => planes.push(found),
                Err(difference) => differences.push(format!("`{}` {difference}", plane.name)),
            }
        }
        located.push(planes);
    }
    if differences.is_empty() { Ok(located) } else { Err(differences) }
}

/// Finds one plane.
///
/// * `n_bytes`: its length
/// * `named`: the planes of the files with its name
fn one<'a>(
    plane: &ExpectedPlane,
    n_bytes: u64,
    named: &[&'a FoundPlane],
    sizes: &[u64],
) -> Result<&'a FoundPlane, String> {
    let found = match named {
        [] => return Err("is missing".to_owned()),
        [found] => *found,
        found => return Err(format!("occurs {} times", found.len())),
    };
    let ExpectedPlane { kind, dims, .. } = plane;
    if (found.kind, &found.dims) != (kind.as_str(), dims) {
        let (found_kind, found_dims) = (&found.kind, &found.dims);
        return Err(format!("is {found_kind} {found_dims:?}; expected {kind} {dims:?}"));
    }
    let range = &found.range;
    let size = sizes.get(found.file).copied().unwrap_or_default();
    if range.start > range.end || range.end > size {
        return Err(format!("lies at {}..{} in a file of {size} bytes", range.start, range.end));
    }
    match range.end - range.start {
        found if found == n_bytes => {}
        found => return Err(format!("has {found} bytes; expected {n_bytes}")),
    }
    Ok(found)
}

/// The error for files that differ from their plan.
fn misfit(title: &str, differences: &[String]) -> ActionError {
    let mut lines = vec![format!("The {title} files are not what was planned:")];
    lines.extend(differences.iter().take(MAX_LISTED).cloned());
    if differences.len() > MAX_LISTED {
        lines.push(format!("and {} more", differences.len() - MAX_LISTED));
    }
    ActionError::failed(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use mc_encoding::codecs;
    use mc_encoding::stored_form::StoredForm;

    use super::*;

    fn tensor(name: &str) -> ExpectedTensor {
        let plane = ExpectedPlane { name: name.to_owned(), kind: "F32".to_owned(), dims: vec![2, 4] };
        ExpectedTensor {
            tensor: ModelTensor::TokenEmbedding,
            form: StoredForm::Blocks(codecs::by_name("F32").unwrap()),
            shape: vec![2, 4],
            add: 0.0,
            planes: vec![plane],
        }
    }

    fn plane(name: &str) -> FoundPlane {
        FoundPlane { name: name.to_owned(), kind: "F32", dims: vec![2, 4], file: 0, range: 8..40 }
    }

    fn difference(change: impl FnOnce(&mut FoundPlane)) -> Vec<String> {
        let mut found = plane("a");
        change(&mut found);
        located(&[tensor("a")], &[found], &[40]).map(drop).err().unwrap_or_default()
    }

    #[test]
    fn planes_are_found_by_their_names() {
        let found = [plane("constant"), plane("b"), plane("a")];
        let tensors = [tensor("a"), tensor("b")];
        let located = located(&tensors, &found, &[40]).unwrap();
        assert_eq!(located, [[&found[2]], [&found[1]]]);
    }

    #[test]
    fn every_difference_is_reported() {
        assert_eq!(difference(|_| {}), [""; 0]);
        assert_eq!(difference(|plane| plane.name.push('x')), ["`a` is missing"]);
        let kind = difference(|plane| plane.kind = "F16");
        assert_eq!(kind, ["`a` is F16 [2, 4]; expected F32 [2, 4]"]);
        assert_eq!(difference(|plane| plane.dims = vec![4, 2]), ["`a` is F32 [4, 2]; expected F32 [2, 4]"]);
        assert_eq!(difference(|plane| plane.range = 8..39), ["`a` has 31 bytes; expected 32"]);
        assert_eq!(difference(|plane| plane.range = 9..41), ["`a` lies at 9..41 in a file of 40 bytes"]);
        #[expect(clippy::reversed_empty_ranges, reason = "a broken file may say so")]
        let reversed = difference(|plane| plane.range = 40..8);
        assert_eq!(reversed, ["`a` lies at 40..8 in a file of 40 bytes"]);
        assert_eq!(difference(|plane| plane.file = 1), ["`a` lies at 8..40 in a file of 0 bytes"]);
        let twice = located(&[tensor("a"), tensor("b")], &[plane("a"), plane("a")], &[40]).unwrap_err();
        assert_eq!(twice, ["`a` occurs 2 times", "`b` is missing"]);
    }

    #[test]
    fn an_error_lists_the_first_differences() {
        let differences: Vec<String> = (0..12).map(|n| format!("`{n}` is missing")).collect();
        let message = misfit("MLX", &differences).to_string();
        assert!(
            message.starts_with("The MLX files are not what was planned:\n`0` is missing\n"),
            "{message}"
        );
        assert!(message.ends_with("`9` is missing\nand 2 more"), "{message}");
    }
}
