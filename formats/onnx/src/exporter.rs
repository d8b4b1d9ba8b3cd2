//! ONNX Runtime GenAI as a writable format: a folder with the graph, the tensors, the configuration and the tokenizer.

use mc_decoder::lower::lower;
use mc_encoding::stored_form::StoredForm;
use mc_exporter::change::Change;
use mc_exporter::exporter::{Exporter, Release};
use mc_exporter::format_error::FormatError;
use mc_exporter::model_description::{ModelDescription, TensorDescription};
use mc_exporter::plane::{EncodedTensor, Part, Plane};
use mc_exporter::planes_in_files::{FileBytes, FoundPlane};
use mc_exporter::quantization::{Quantization, UnencodedTensor};
use mc_exporter::refusal::Refusal;
use mc_exporter::written_file::WrittenFile;
use mc_tensor::stored::Stored;

use crate::accepts;
use crate::data_file::DataFile;
use crate::element_type::ElementType;
use crate::find_planes;
use crate::genai_config;
use crate::layout;
use crate::proto::{self, Bytes, DATA_FILE, Initializer, MODEL_FILE};
use crate::quantizations::QUANTIZATIONS;
use crate::settings::Settings;
use crate::tensor_form;
use crate::translate::translate;
use crate::translation::{Plan, Translated};

/// The format.
pub struct OnnxExporter;

/// The format's name in declarations, keys and devices.
pub const NAME: &str = "onnx";

/// The setting for the precision of products with quantized weights.
pub const ACCURACY_LEVEL: &str = crate::settings::ACCURACY_LEVEL;

/// The setting for the type of activations.
pub const ACTIVATIONS: &str = crate::settings::ACTIVATIONS;

/// The words for the type of activations.
pub fn activations() -> Vec<&'static str> {
    crate::quantizations::ACTIVATIONS.to_vec()
}

/// Files of a checkpoint that the runtime's tokenizer reads; they are released as they are.
const TOKENIZER_FILES: [&str; 6] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.model",
    "chat_template.jinja",
];

impl Exporter for OnnxExporter {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        "ONNX"
    }

    fn version(&self) -> u32 {
        1
    }

    fn accepts(&self, model: &ModelDescription<'_>) -> Vec<Refusal> {
        accepts::refusals(model)
    }

    fn change(&self, _: &ModelDescription<'_>, tensor: &TensorDescription) -> Option<Change> {
        (tensor.stored == Stored::LessOne).then_some(Change::Add(1.0))
    }

    fn quantizations(&self) -> &'static [Quantization] {
        QUANTIZATIONS
    }

    fn form(
        &self,
        model: &ModelDescription<'_>,
        tensor: &UnencodedTensor<'_>,
        quantization: &Quantization,
    ) -> Result<StoredForm, Refusal> {
        tensor_form::of(&Settings::of(model), tensor, quantization)
    }

    fn layout(&self, _: &ModelDescription<'_>, tensors: &[EncodedTensor]) -> Result<Vec<Plane>, Refusal> {
        layout::planes(tensors)
    }

    fn files(&self, model: &ModelDescription<'_>, _: &[Plane]) -> Vec<String> {
        let own = [MODEL_FILE, DATA_FILE, genai_config::FILE];
        let copied = TOKENIZER_FILES.into_iter().filter(|name| model.has_file(name));
        own.into_iter().chain(copied).map(str::to_owned).collect()
    }

    fn write(
        &self,
        model: &ModelDescription<'_>,
        tensors: &[EncodedTensor],
        planes: &[Plane],
    ) -> Result<Vec<WrittenFile>, FormatError> {
        let settings = Settings::of(model);
        let weights = layout::weights(tensors).map_err(|refusal| FormatError::new(refusal.message))?;
        let graph = lower(model.decoder).map_err(FormatError::new)?;
        let plan = Plan { decoder: model.decoder, settings, weights };
        let translated = translate(&plan, &graph).map_err(|refusal| FormatError::new(refusal.message))?;
        let data = DataFile::new(planes, &translated.caches);
        let graph = proto::model_bytes(&with_tensors(translated, planes, &data)?, env!("CARGO_PKG_VERSION"));
        let file = |name: &str, part| WrittenFile { name: name.to_owned(), parts: vec![part] };
        let own = [
            file(MODEL_FILE, Part::Bytes(graph)),
            data.file,
            file(genai_config::FILE, Part::Bytes(genai_config::bytes(model, &settings))),
        ];
        let copied = TOKENIZER_FILES.into_iter().filter(|name| model.has_file(name));
        let copied = copied.map(|name| file(name, Part::Source(name.to_owned())));
        Ok(own.into_iter().chain(copied).collect())
    }

    fn find_planes(&self, files: &[&dyn FileBytes]) -> Result<Vec<FoundPlane>, FormatError> {
        find_planes::find(files)
    }

    fn is_main_file(&self, name: &str) -> bool {
        name == MODEL_FILE
    }

    fn is_part(&self, main: &str, name: &str) -> bool {
        name.strip_prefix(main).is_some_and(|rest| rest.starts_with('.'))
    }

    fn file_names(&self, _: &Release<'_>, _: usize) -> Option<Vec<String>> {
        None
    }
}

/// The graph with the initializers of its weights and tables.
fn with_tensors(
    translated: Translated,
    planes: &[Plane],
    data: &DataFile,
) -> Result<proto::OnnxGraph, FormatError> {
    let mut graph = translated.graph;
    let external = |offset: u64, n_bytes: u64| Bytes::External { offset, n_bytes };
    for (plane, offset) in planes.iter().zip(&data.planes) {
        let element = ElementType::by_name(plane.kind);
        let element =
            element.ok_or_else(|| FormatError::new(format!("ONNX has no type `{}`", plane.kind)))?;
        let initializer = |name: &str, dims: &[u64]| Initializer {
            name: name.to_owned(),
            element,
            dims: dims.to_vec(),
            bytes: external(*offset, plane.n_bytes),
        };
        graph.initializers.push(initializer(&plane.name, &plane.dims));
        let views = translated.views.iter().filter(|view| view.of == plane.name);
        graph.initializers.extend(views.map(|view| initializer(&view.name, &view.dims)));
    }
    for (cache, offset) in translated.caches.iter().zip(&data.caches) {
        graph.initializers.push(Initializer {
            name: cache.name.clone(),
            element: cache.element,
            dims: cache.dims(),
            bytes: external(*offset, cache.n_bytes()),
        });
    }
    Ok(graph)
}
