//! A tensor that the files of a model must contain: its form, and the planes by their names, types and dimensions.
//!
//! It is a parameter of every action that runs such files, as JSON.

use mc_encoding::codecs;
use mc_encoding::encoding::Encoding;
use mc_encoding::stored_form::StoredForm;
use mc_exporter::plane::{EncodedTensor, Plane};
use mc_tensor::dtype::DType;
use mc_tensor::model_tensor::ModelTensor;
use serde::{Deserialize, Serialize};

/// A tensor in the files of a model.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ExpectedTensor {
    /// Its purpose.
    pub(crate) tensor: ModelTensor,
    /// The form that decodes it.
    pub(crate) form: StoredForm,
    /// Its shape, rows last.
    pub(crate) shape: Vec<u64>,
    /// The number to add to each element before it is used, because neither the checkpoint nor the format added it.
    pub(crate) add: f32,
    /// Its planes, in the order of the form.
    pub(crate) planes: Vec<ExpectedPlane>,
}

/// A plane in the files of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExpectedPlane {
    /// Its name in the file.
    pub(crate) name: String,
    /// The name of its type in the file.
    pub(crate) kind: String,
    /// Its dimensions, as written in the file.
    pub(crate) dims: Vec<u64>,
}

/// The text of a tensor in the parameters of an action.
#[derive(Serialize, Deserialize)]
struct Text {
    /// The name of the form and the versions of its meaning.
    form: String,
    /// Type of the weights, for an encoding in planes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    weights: Option<String>,
    shape: Vec<u64>,
    #[serde(default, skip_serializing_if = "is_zero")]
    add: f32,
    planes: Vec<ExpectedPlane>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &f32) -> bool {
    *number == 0.0
}

impl ExpectedTensor {
    /// Creates the expectation of a tensor that was laid out in these planes.
    ///
    /// * `index`: the index of the tensor in the layout
    /// * `add`: the number to add to each element before it is used
    ///
    /// # Errors
    /// A sentence if the layout lacks a plane of the tensor.
    pub(crate) fn of(of: &EncodedTensor, index: usize, planes: &[Plane], add: f32) -> Result<Self, String> {
        let plane = |number: usize| {
            let found = planes.iter().find(|plane| plane.tensor == index && plane.plane == number);
            let found = found.ok_or_else(|| format!("Tensor `{}` has no plane {number}", of.name))?;
            let (name, kind, dims) = (found.name.clone(), found.kind.to_owned(), found.dims.clone());
            Ok::<_, String>(ExpectedPlane { name, kind, dims })
        };
        let planes = (0..of.planes.len()).map(plane).collect::<Result<_, _>>()?;
        Ok(Self { tensor: of.tensor, form: of.form, shape: of.shape.clone(), add, planes })
    }

    /// Returns the name and the text of the tensor's parameter.
    pub(crate) fn parameter(&self) -> (String, String) {
        let weights = match &self.form {
            StoredForm::Blocks(_) => None,
            StoredForm::Planes { weights, .. } => Some(weights.name().to_owned()),
        };
        let text = Text {
            form: form_text(&self.form),
            weights,
            shape: self.shape.clone(),
            add: self.add,
            planes: self.planes.clone(),
        };
        let text = serde_json::to_string(&text).expect("a tensor has text keys");
        (self.tensor.to_string(), text)
    }

    /// Reads a tensor from its parameter.
    ///
    /// # Errors
    /// A sentence if no tensor has this parameter.
    pub(crate) fn of_parameter((name, text): &(String, String)) -> Result<Self, String> {
        let tensor =
            ModelTensor::parse(name).ok_or_else(|| format!("Tensor `{name}` has an unknown purpose"))?;
        let Text { form, weights, shape, add, planes } =
            serde_json::from_str(text).map_err(|error| format!("Tensor `{name}`: {error}"))?;
        let form = form_of_text(&form, weights.as_deref())
            .ok_or_else(|| format!("Tensor `{name}` has the form `{form}`, which this mc does not read"))?;
        let n_planes = form.plane_names().len();
        if planes.len() != n_planes {
            return Err(format!("Tensor `{name}` has {} planes; its form has {n_planes}", planes.len()));
        }
        Ok(Self { tensor, form, shape, add, planes })
    }

    /// Returns the number of bytes of each plane, in the order of the form.
    ///
    /// # Errors
    /// A sentence if a tensor of this shape cannot be stored in this form.
    pub(crate) fn plane_bytes(&self) -> Result<Vec<u64>, String> {
        let planes = self.form.planes(&self.shape).map_err(|error| error.to_string())?;
        Ok(planes.iter().map(mc_encoding::plane::Plane::n_bytes).collect())
    }
}

/// The name of a form with the versions on which the meaning of its bytes depends.
fn form_text(form: &StoredForm) -> String {
    match form {
        StoredForm::Blocks(codec) => format!("{codec}@{}", codec.version),
        StoredForm::Planes { encoding, .. } => {
            let Encoding { grid, packing, .. } = encoding;
            format!("{encoding}@{}.{}", grid.version, packing.version)
        }
    }
}

/// The form with this text; `None` if it is unknown, or has other versions.
fn form_of_text(text: &str, weights: Option<&str>) -> Option<StoredForm> {
    let (name, _) = text.split_once('@')?;
    let form = match weights {
        None => StoredForm::Blocks(codecs::by_name(name)?),
        Some(weights) => {
            let weights = weights.parse::<DType>().ok().filter(|weights| weights.is_weight())?;
            StoredForm::Planes { encoding: name.parse().ok()?, weights }
        }
    };
    (form_text(&form) == text).then_some(form)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(form: StoredForm, planes: usize) -> ExpectedTensor {
        let plane =
            |n: usize| ExpectedPlane { name: format!("plane {n}"), kind: "U32".to_owned(), dims: vec![4, 8] };
        ExpectedTensor {
            tensor: ModelTensor::AttnQ { block: 3 },
            form,
            shape: vec![4, 64],
            add: 0.0,
            planes: (0..planes).map(plane).collect(),
        }
    }

    #[test]
    fn tensors_are_read_from_their_parameters() {
        let planes = StoredForm::Planes { encoding: "affine-4-g64".parse().unwrap(), weights: DType::BF16 };
        let blocks = StoredForm::Blocks(codecs::by_name("F16").unwrap());
        for tensor in [tensor(planes, 3), tensor(blocks, 1), ExpectedTensor { add: 1.0, ..tensor(blocks, 1) }]
        {
            let parameter = tensor.parameter();
            let again = ExpectedTensor::of_parameter(&parameter).unwrap();
            assert_eq!((&again, again.parameter()), (&tensor, parameter));
        }
    }

    #[test]
    fn other_forms_and_versions_are_refused() {
        let (name, text) = tensor(StoredForm::Blocks(codecs::by_name("F16").unwrap()), 1).parameter();
        let refused = |name: &str, text: &str| {
            ExpectedTensor::of_parameter(&(name.to_owned(), text.to_owned())).unwrap_err()
        };
        assert!(refused(&name, &text.replace("@1", "@9")).contains("`F16@9`, which this mc does not read"));
        assert!(refused(&name, &text.replace("F16", "F17")).contains("does not read"));
        assert!(refused(&name, &text.replace("\"shape\"", "\"weights\":\"U8\",\"shape\"")).contains("F16"));
        assert!(refused("other", &text).contains("unknown purpose"));
        assert!(refused(&name, "{}").contains("missing field"));
        let few = tensor(StoredForm::Blocks(codecs::by_name("F16").unwrap()), 0).parameter();
        assert!(refused(&few.0, &few.1).contains("0 planes; its form has 1"));
    }
}
