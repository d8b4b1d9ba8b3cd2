//! The weights of a model as a file stores them.

use std::collections::BTreeMap;

use mc_encoding::stored_form::StoredForm;
use mc_exporter::plane::{EncodedTensor, Plane};
use mc_exporter::refusal::Refusal;
use mc_tensor::dtype::DType;
use mc_tensor::model_tensor::ModelTensor;

use crate::tflite::element_type::ElementType;

/// Suffix of the name of a weight's scales.
const SCALES: &str = ".scales";

/// The way in which scales belong to the codes of a weight.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Scaling {
    /// There are none: the weight holds numbers.
    None,
    /// One scale for each row, within the description of the graph.
    Rows,
    /// One scale for each block of this many columns, as a tensor.
    Blocks(u32),
}

/// A weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Weight {
    pub(crate) name: String,
    pub(crate) shape: Vec<u32>,
    pub(crate) element_type: ElementType,
    pub(crate) scaling: Scaling,
    /// Index of its first plane in the layout; its scales are the next one.
    pub(crate) plane: usize,
}

impl Weight {
    /// Name of its scales.
    pub(crate) fn scales_name(&self) -> String {
        scales_name(&self.name)
    }
}

/// Name of the scales of a weight.
pub(crate) fn scales_name(name: &str) -> String {
    format!("{name}{SCALES}")
}

/// The weights of a model, in file order.
#[derive(Debug)]
pub(crate) struct Weights {
    pub(crate) list: Vec<Weight>,
    numbers: BTreeMap<ModelTensor, usize>,
}

impl Weights {
    /// Describes encoded tensors.
    ///
    /// # Errors
    /// If LiteRT has no type for an encoding.
    pub(crate) fn new(tensors: &[EncodedTensor]) -> Result<Self, Refusal> {
        let mut list = Vec::with_capacity(tensors.len());
        let mut plane = 0;
        for tensor in tensors {
            list.push(weight(tensor, plane)?);
            plane += tensor.planes.len();
        }
        let numbers = tensors.iter().enumerate().map(|(number, tensor)| (tensor.tensor, number)).collect();
        Ok(Self { list, numbers })
    }

    /// The number of a weight.
    pub(crate) fn number(&self, tensor: ModelTensor) -> Option<usize> {
        self.numbers.get(&tensor).copied()
    }

    /// Returns true if the graph runs on a GPU: its delegates abort at tables of floating-point numbers and compute
    /// other products with scales of blocks.
    pub(crate) fn run_on_gpu(&self) -> bool {
        let is_gpu = |weight: &Weight| match weight.scaling {
            Scaling::None => weight.shape.len() < 2,
            Scaling::Rows => true,
            Scaling::Blocks(_) => false,
        };
        self.numbers.iter().all(|(tensor, number)| !tensor.is_quantizable() || is_gpu(&self.list[*number]))
    }

    /// The planes of all weights, in file order.
    pub(crate) fn planes(&self, tensors: &[EncodedTensor]) -> Result<Vec<Plane>, Refusal> {
        let mut planes = Vec::new();
        for (number, (weight, tensor)) in self.list.iter().zip(tensors).enumerate() {
            let dims: Vec<u64> = weight.shape.iter().copied().map(u64::from).collect();
            planes.push(plane(number, 0, weight.name.clone(), weight.element_type, dims.clone())?);
            let scales = match weight.scaling {
                Scaling::None => continue,
                Scaling::Rows => (ElementType::F32, dims[..1].to_vec()),
                Scaling::Blocks(_) => (ElementType::F16, tensor.planes[1].shape.clone()),
            };
            planes.push(plane(number, 1, weight.scales_name(), scales.0, scales.1)?);
        }
        Ok(planes)
    }
}

fn plane(
    tensor: usize,
    plane: usize,
    name: String,
    element_type: ElementType,
    dims: Vec<u64>,
) -> Result<Plane, Refusal> {
    let n_elements = dims.iter().try_fold(1_u64, |product, dim| product.checked_mul(*dim));
    let n_bytes = n_elements.and_then(|n_elements| element_type.n_bytes(n_elements));
    let n_bytes = n_bytes
        .ok_or_else(|| Refusal::new(format!("Tensor `{name}` with dimensions {dims:?} is too large")))?;
    Ok(Plane { tensor, plane, name, kind: element_type.name(), dims, n_bytes })
}

fn weight(tensor: &EncodedTensor, plane: usize) -> Result<Weight, Refusal> {
    let name = if tensor.name.is_empty() { tensor.tensor.to_string() } else { tensor.name.clone() };
    let unknown = || {
        Refusal::new(format!("LiteRT has no type for tensor `{name}` as `{}`", tensor.form))
            .help("LiteRT stores `int4-g32`, `int4-channel`, `int8-channel` and `f32`")
    };
    let (element_type, scaling) = match &tensor.form {
        StoredForm::Blocks(codec) if codec.name == DType::F32.name() => (ElementType::F32, Scaling::None),
        StoredForm::Blocks(_) => return Err(unknown()),
        StoredForm::Planes { .. } => planar(tensor).ok_or_else(unknown)?,
    };
    let shape: Option<Vec<u32>> = tensor.shape.iter().map(|dim| u32::try_from(*dim).ok()).collect();
    Ok(Weight { name: name.clone(), shape: shape.ok_or_else(unknown)?, element_type, scaling, plane })
}

/// The types of a tensor of codes: a matrix with a scale for each row, or for each block of 32 columns.
fn planar(tensor: &EncodedTensor) -> Option<(ElementType, Scaling)> {
    let StoredForm::Planes { encoding, .. } = &tensor.form else { return None };
    let ([n_rows, n_columns], [_, scales]) = (tensor.shape.as_slice(), tensor.planes.as_slice()) else {
        return None;
    };
    let element_type = match (encoding.grid.bits, encoding.packing.name) {
        (8, "signed-bytes") => ElementType::I8,
        (4, "signed-nibbles") if n_columns.is_multiple_of(2) => ElementType::I4,
        _ => return None,
    };
    let n_groups = scales.shape.iter().product::<u64>() / (*n_rows).max(1);
    match (scales.kind, n_groups) {
        ("F32", 1) => Some((element_type, Scaling::Rows)),
        ("F16", n_groups) if element_type == ElementType::I4 => {
            let len = n_columns.checked_div(n_groups)?;
            (len * n_groups == *n_columns)
                .then_some((element_type, Scaling::Blocks(u32::try_from(len).ok()?)))
        }
        _ => None,
    }
}
