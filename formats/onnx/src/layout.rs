//! The names and dimensions of the planes in the file, as ONNX Runtime's operators read them.

use std::collections::BTreeMap;

use mc_encoding::grids::grid::Group;
use mc_encoding::stored_form::StoredForm;
use mc_exporter::plane::{EncodedPlane, EncodedTensor, Plane};
use mc_exporter::refusal::Refusal;
use mc_tensor::model_tensor::ModelTensor;

use crate::element_type::ElementType;
use crate::weight_form::{BlockForm, Weight, WeightForm};

/// Name of the codes of a tensor.
pub(crate) fn codes_name(name: &str, bits: u32) -> String {
    format!("{name}_Q{bits}")
}

/// Name of the scales of a tensor.
pub(crate) fn scales_name(name: &str) -> String {
    format!("{name}_scales")
}

/// Name of the zero points of a tensor.
pub(crate) fn zero_points_name(name: &str) -> String {
    format!("{name}_zero_points")
}

/// The planes of the tensors, in their order.
///
/// # Errors
/// If ONNX Runtime has no operator for a form.
pub(crate) fn planes(tensors: &[EncodedTensor]) -> Result<Vec<Plane>, Refusal> {
    let mut planes = Vec::new();
    for (number, tensor) in tensors.iter().enumerate() {
        let weight = weight(tensor)?;
        for (index, plane) in tensor.planes.iter().enumerate() {
            planes.push(named(number, index, tensor, plane, &weight)?);
        }
    }
    Ok(planes)
}

/// The weights by their purpose.
///
/// # Errors
/// As [`planes`].
pub(crate) fn weights(tensors: &[EncodedTensor]) -> Result<BTreeMap<ModelTensor, Weight>, Refusal> {
    tensors.iter().map(|tensor| Ok((tensor.tensor, weight(tensor)?))).collect()
}

fn weight(tensor: &EncodedTensor) -> Result<Weight, Refusal> {
    let name = if tensor.name.is_empty() { tensor.tensor.to_string() } else { tensor.name.clone() };
    let unsuited = |form: &StoredForm| {
        Refusal::new(format!("ONNX Runtime has no operator for `{form}`, the form of tensor `{name}`"))
    };
    let form = match &tensor.form {
        StoredForm::Blocks(codec) => {
            let element = ElementType::of(codec.name).filter(|element| *element != ElementType::Uint8);
            WeightForm::Floats(element.ok_or_else(|| unsuited(&tensor.form))?)
        }
        StoredForm::Planes { encoding, weights } => {
            let scales = ElementType::of(encoding.grid.scale_dtype(*weights).name());
            let (Group::Columns(len), Some(scales)) = (encoding.grid.group, scales) else {
                return Err(unsuited(&tensor.form));
            };
            WeightForm::Blocks(BlockForm {
                bits: encoding.grid.bits,
                len: len as u64,
                has_zero_points: tensor.planes.iter().any(|plane| plane.role == ZERO_POINTS),
                scales,
            })
        }
    };
    Ok(Weight { name, shape: tensor.shape.clone(), form })
}

/// The role of the plane with the zero points.
const ZERO_POINTS: &str = "zero-points";

fn named(
    tensor: usize,
    index: usize,
    of: &EncodedTensor,
    plane: &EncodedPlane,
    weight: &Weight,
) -> Result<Plane, Refusal> {
    let element = ElementType::of(plane.kind).ok_or_else(|| {
        Refusal::new(format!("ONNX has no type for {} of tensor `{}`", plane.kind, weight.name))
    })?;
    let mut dims = plane.shape.clone();
    let name = match (weight.form, plane.role) {
        (WeightForm::Floats(_), _) => weight.name.clone(),
        (WeightForm::Blocks(form), "weight") => {
            // The codes of each block are a dimension of their own.
            let block = form.len * u64::from(form.bits) / 8;
            let n_blocks = dims.pop().map_or(0, |width| width / block.max(1));
            dims.extend([n_blocks, block]);
            codes_name(&weight.name, form.bits)
        }
        (WeightForm::Blocks(_), "scales") => scales_name(&weight.name),
        (WeightForm::Blocks(_), ZERO_POINTS) => zero_points_name(&weight.name),
        (WeightForm::Blocks(_), role) => {
            let message = format!("ONNX Runtime has no operator for the {role} of tensor `{}`", of.name);
            return Err(Refusal::new(message));
        }
    };
    let n_bytes = plane.shape.iter().try_fold(element.n_bytes(), |bytes, dim| bytes.checked_mul(*dim));
    let n_bytes = n_bytes.ok_or_else(|| Refusal::new(format!("Tensor `{name}` is too large")))?;
    Ok(Plane { tensor, plane: index, name, kind: element.name(), dims, n_bytes })
}
