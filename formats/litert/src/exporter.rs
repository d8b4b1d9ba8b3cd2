//! LiteRT as a writable format.

use mc_encoding::stored_form::StoredForm;
use mc_exporter::change::Change;
use mc_exporter::exporter::{Exporter, Release};
use mc_exporter::format_error::FormatError;
use mc_exporter::model_description::{ModelDescription, TensorDescription};
use mc_exporter::plane::{EncodedTensor, Plane};
use mc_exporter::planes_in_files::{FileBytes, FoundPlane};
use mc_exporter::quantization::{Quantization, UnencodedTensor};
use mc_exporter::refusal::Refusal;
use mc_exporter::written_file::WrittenFile;
use mc_tensor::model_tensor::ModelTensor;
use mc_tensor::stored::Stored;

use crate::accepts;
use crate::bundle;
use crate::caches::{self, Cache};
use crate::found_planes;
use crate::graph_file;
use crate::lowering::Shared;
use crate::quantizations::{self, QUANTIZATIONS};
use crate::settings::{Container, Settings};
use crate::signatures::signatures;
use crate::weights::Weights;

/// The format.
pub struct LitertExporter;

/// The format's name in declarations, keys and devices.
pub const NAME: &str = "litert";

/// The file of a bundle.
const BUNDLE: &str = "model.litertlm";

/// The file of a graph alone.
const GRAPH: &str = "model.tflite";

impl Exporter for LitertExporter {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        "LiteRT"
    }

    fn version(&self) -> u32 {
        2
    }

    fn accepts(&self, model: &ModelDescription<'_>) -> Vec<Refusal> {
        accepts::refusals(model)
    }

    fn change(&self, _: &ModelDescription<'_>, tensor: &TensorDescription) -> Option<Change> {
        match (tensor.stored, tensor.tensor) {
            (Stored::LessOne, _) => Some(Change::Add(1.0)),
            (Stored::AsUsed, ModelTensor::ShortconvConv { .. }) => Some(Change::Squeeze),
            (Stored::AsUsed, _) => None,
        }
    }

    fn quantizations(&self) -> &'static [Quantization] {
        QUANTIZATIONS
    }

    fn form(
        &self,
        _: &ModelDescription<'_>,
        tensor: &UnencodedTensor<'_>,
        quantization: &Quantization,
    ) -> Result<StoredForm, Refusal> {
        quantizations::form(tensor, quantization)
    }

    fn layout(&self, _: &ModelDescription<'_>, tensors: &[EncodedTensor]) -> Result<Vec<Plane>, Refusal> {
        Weights::new(tensors)?.planes(tensors)
    }

    fn files(&self, model: &ModelDescription<'_>, _: &[Plane]) -> Vec<String> {
        // Invalid settings are refused before.
        let container = Settings::read(model).map_or(Container::Litertlm, |settings| settings.container);
        vec![name_of(container).to_owned()]
    }

    fn write(
        &self,
        model: &ModelDescription<'_>,
        tensors: &[EncodedTensor],
        planes: &[Plane],
    ) -> Result<Vec<WrittenFile>, FormatError> {
        let settings = Settings::read(model).map_err(FormatError::new)?;
        let weights = Weights::new(tensors).map_err(|refusal| FormatError::new(refusal.message))?;
        let lacking = |lacking: String| FormatError::new(format!("LiteRT cannot express {lacking}"));
        let graph = accepts::graph(model).map_err(|refusal| FormatError::new(refusal.message))?;
        let caches = caches::of(&graph, settings.context).map_err(lacking)?;
        let shared = Shared {
            graph: &graph,
            weights: &weights,
            caches: &caches,
            n_positions: settings.context,
            activation_bits: settings.activation_bits,
        };
        let subgraphs = signatures(&shared, &settings.prefill).map_err(lacking)?;
        let file = graph_file::write(&weights, planes, &subgraphs)?;
        let parts = match settings.container {
            Container::Tflite => file,
            Container::Litertlm => {
                let caches: Vec<Cache> = caches.into_iter().flatten().collect();
                bundle::write(model, &settings, &caches, weights.run_on_gpu(), file)?
            }
        };
        let name = name_of(settings.container).to_owned();
        Ok(vec![WrittenFile { name, parts: parts.into_list() }])
    }

    fn find_planes(&self, files: &[&dyn FileBytes]) -> Result<Vec<FoundPlane>, FormatError> {
        found_planes::find(files)
    }

    fn is_main_file(&self, name: &str) -> bool {
        crate::settings::containers().iter().any(|kind| name.ends_with(&format!(".{kind}")))
    }

    fn file_names(&self, release: &Release<'_>, n_files: usize) -> Option<Vec<String>> {
        let _ = (release, n_files);
        None
    }
}

fn name_of(container: Container) -> &'static str {
    match container {
        Container::Tflite => GRAPH,
        Container::Litertlm => BUNDLE,
    }
}
