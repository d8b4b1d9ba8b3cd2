//! GGUF as a writable format.

use mc_exporter::change::Change;
use mc_exporter::container::Container;
use mc_exporter::exporter::{Exporter, Release};
use mc_exporter::format_error::FormatError;
use mc_exporter::model_description::{ModelDescription, TensorDescription};
use mc_exporter::plane::{EncodedTensor, Part, Plane};
use mc_exporter::refusal::Refusal;
use mc_exporter::written_file::WrittenFile;
use mc_graph::rotary::RotaryPairing;
use mc_tensor::model_tensor::ModelTensor;
use mc_tensor::stored::Stored;

use crate::accepts;
use crate::architecture;
use crate::container::GgufContainer;
use crate::file_name;
use crate::layout::{ALIGNMENT, Layout, TensorPlan};
use crate::names::wire_name_in;
use crate::rope_tensors;
use crate::tensor_type;
use crate::written_keys;

/// The format.
pub struct GgufExporter;

/// The format's name in declarations, keys and devices.
pub const NAME: &str = "gguf";

/// The file that holds a whole model.
pub const MODEL_FILE: &str = "model.gguf";

impl Exporter for GgufExporter {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        "GGUF"
    }

    fn version(&self) -> u32 {
        4
    }

    fn accepts(&self, model: &ModelDescription<'_>) -> Vec<Refusal> {
        accepts::refusals(model)
    }

    fn change(&self, model: &ModelDescription<'_>, tensor: &TensorDescription) -> Option<Change> {
        if tensor.stored == Stored::LessOne {
            return Some(Change::Add(1.0));
        }
        if matches!(tensor.tensor, ModelTensor::ShortconvConv { .. }) {
            return Some(Change::Squeeze);
        }
        let is_interleaved = self.pairing(model) == RotaryPairing::Interleaved;
        is_interleaved.then(|| interleaved(model, tensor.tensor)).flatten()
    }

    fn pairing(&self, model: &ModelDescription<'_>) -> RotaryPairing {
        architecture::of_family(&model.decoder.family)
            .map_or(RotaryPairing::HalfSplit, |architecture| architecture.pairing)
    }

    fn own_tensors(&self, model: &ModelDescription<'_>) -> Vec<(ModelTensor, Vec<f32>)> {
        rope_tensors::of(model.decoder)
    }

    fn layout(&self, model: &ModelDescription<'_>, tensors: &[EncodedTensor]) -> Result<Vec<Plane>, Refusal> {
        (0..).zip(tensors).map(|(number, tensor)| plane(model, number, tensor)).collect()
    }

    fn files(&self, _: &ModelDescription<'_>, _: &[Plane]) -> Vec<String> {
        vec![MODEL_FILE.to_owned()]
    }

    fn write(
        &self,
        model: &ModelDescription<'_>,
        _: &[EncodedTensor],
        planes: &[Plane],
    ) -> Result<Vec<WrittenFile>, FormatError> {
        let plans = plans(planes)?;
        let layout = Layout::new(&written_keys::of(model, &plans)?, &plans, ALIGNMENT);
        let mut parts = vec![Part::Bytes(layout.head)];
        for (number, stretch) in layout.tensors.iter().enumerate() {
            parts.push(Part::Plane(number));
            if stretch.padding > 0 {
                parts.push(Part::Zeros(stretch.padding));
            }
        }
        Ok(vec![WrittenFile { name: MODEL_FILE.to_owned(), parts }])
    }

    fn file_names(&self, release: &Release<'_>, n_files: usize) -> Option<Vec<String>> {
        Some(file_name::of_series(&file_name::of(release), n_files))
    }

    fn container(&self) -> Option<&'static dyn Container> {
        Some(&GgufContainer)
    }
}

fn interleaved(model: &ModelDescription<'_>, tensor: ModelTensor) -> Option<Change> {
    let attention = model.decoder.blocks.get(tensor.block()? as usize)?.attention()?;
    let n_heads = match tensor {
        ModelTensor::AttnQ { .. } | ModelTensor::AttnQBias { .. } => attention.n_heads,
        ModelTensor::AttnK { .. } | ModelTensor::AttnKBias { .. } => attention.n_kv_heads,
        _ => return None,
    };
    Some(Change::Interleave { n_heads })
}

/// The single plane of a tensor: files interleave blocks and write the fastest dimension first.
fn plane(model: &ModelDescription<'_>, number: usize, tensor: &EncodedTensor) -> Result<Plane, Refusal> {
    let name = wire_name_in(architecture::name_of(model.decoder), tensor.tensor);
    let [plane] = tensor.planes.as_slice() else {
        let roles: Vec<&str> = tensor.planes.iter().map(|plane| plane.role).collect();
        let message =
            format!("Tensor `{name}` is stored as {}; GGUF has one plane per tensor", roles.join(", "));
        return Err(Refusal::new(message));
    };
    let dims: Vec<u64> = plane.shape.iter().rev().copied().collect();
    let n_bytes = tensor_type::by_name(plane.kind).and_then(|kind| kind.n_bytes(&dims)).ok_or_else(|| {
        Refusal::new(format!("Tensor `{name}` with dimensions {dims:?} cannot be stored as {}", plane.kind))
    })?;
    Ok(Plane { tensor: number, plane: 0, name, kind: plane.kind, dims, n_bytes })
}

/// The tensors of a file, as its head lists them.
///
/// # Errors
/// If a plane was laid out by another format.
pub fn plans(planes: &[Plane]) -> Result<Vec<TensorPlan>, FormatError> {
    let plan = |plane: &Plane| {
        let kind = tensor_type::by_name(plane.kind)
            .ok_or_else(|| FormatError::new(format!("GGUF has no type `{}`", plane.kind)))?;
        Ok(TensorPlan { name: plane.name.clone(), kind, dims: plane.dims.clone() })
    };
    planes.iter().map(plan).collect()
}
