//! The tensors of a model as a format would write them, before encoding; used to compare a model with files.
//!
//! Names, shapes and changes (rotary pairs, norms, stacked experts) are the same as in
//! `export::tensor_actions`. This module encodes and stores nothing.

use mc_encoding::blocks::plain::F32;
use mc_exporter::exporter::Exporter;
use mc_exporter::plane::{EncodedTensor, Plane};
use mc_expression::evaluator::Evaluator;
use mc_expression::expression::TensorExpr;
use mc_expression::operators::literal::Literal;
use mc_ir::action::{ActionError, Input};

use crate::action::evaluation::{action_error, evaluator};
use crate::exporters;
use crate::inference::source_inputs::{ReadSource, SourceInputs};
use crate::inference::written::missing_addend;
use crate::source::export_tensors::{ExportTensor, described, export_tensors, factor_tensors};
use crate::source::model_info::ModelInfo;

/// A tensor as a format would write it.
pub struct WrittenTensor {
    /// Its name in the file, or in the checkpoint.
    pub name: String,
    /// Its dimensions, as the file writes them; in the checkpoint, slowest dimension first.
    pub dims: Vec<u64>,
    /// The number to add to each element before it is used, because neither the checkpoint nor the format added it.
    pub add: f32,
    /// The type in which the checkpoint stores it or its first part; `None` if the format creates it.
    pub kind: Option<&'static str>,
    expression: TensorExpr,
    inputs: Vec<Input>,
}

/// A tensor whose values can be computed.
pub struct OpenTensor(Evaluator);

impl OpenTensor {
    /// Computes the rows from `first` on until `out` is full.
    ///
    /// # Errors
    /// Fails if a row cannot be computed.
    pub fn rows(&self, first: u64, out: &mut [f32]) -> Result<(), ActionError> {
        self.0.rows(first, out).map_err(action_error)
    }
}

impl WrittenTensor {
    /// Opens the sources of the tensor.
    ///
    /// # Errors
    /// Fails if a source cannot be read.
    pub fn open(&self, read: ReadSource<'_>) -> Result<OpenTensor, ActionError> {
        evaluator(&self.expression, &SourceInputs { inputs: &self.inputs, built: &[], read }).map(OpenTensor)
    }
}

/// Returns the tensors of a model in a format, in the order of the file.
///
/// * `format`: the name of the format
///
/// # Errors
/// A sentence if the format does not exist or cannot express the model.
pub fn written_tensors(format: &str, model: &ModelInfo) -> Result<Vec<WrittenTensor>, String> {
    let exporter = exporters::by_name(format).ok_or_else(|| format!("There is no format `{format}`"))?;
    let description = described(model);
    if let Some(refusal) = exporter.accepts(&description).into_iter().next() {
        return Err(refusal.message);
    }
    let own = exporter.own_tensors(&description).into_iter().map(|(tensor, values)| {
        let expression = TensorExpr::new(Literal { values });
        ExportTensor { tensor, expression, inputs: Vec::new() }
    });
    let tensors: Vec<ExportTensor> =
        own.chain(factor_tensors(model)).chain(export_tensors(exporter, model)).collect();
    let encoded: Vec<EncodedTensor> = tensors.iter().map(|of| plain_tensor(model, of)).collect();
    let planes = exporter.layout(&description, &encoded).map_err(|refusal| refusal.message)?;
    let written = |plane: Plane| arranged(exporter, model, tensors[plane.tensor].clone(), Some(plane));
    Ok(planes.into_iter().map(written).collect())
}

/// Returns the tensors of a model under the names of its checkpoint, in the arrangement of a format, whether or not the
/// format can express the model.
pub fn arranged_tensors(exporter: &dyn Exporter, model: &ModelInfo) -> Vec<WrittenTensor> {
    let tensors = export_tensors(exporter, model).into_iter();
    tensors.map(|of| arranged(exporter, model, of, None)).collect()
}

/// A tensor without an encoding; F32 accepts every shape.
fn plain_tensor(model: &ModelInfo, of: &ExportTensor) -> EncodedTensor {
    let name = model.weight(of.tensor).map_or("", |weight| weight.name.as_str());
    EncodedTensor::blocks(of.tensor, name, &F32, of.expression.shape())
}

/// * `plane`: its plane in a file; `None` for its name and shape in the checkpoint
fn arranged(
    exporter: &dyn Exporter,
    model: &ModelInfo,
    of: ExportTensor,
    plane: Option<Plane>,
) -> WrittenTensor {
    let ExportTensor { tensor, expression, inputs } = of;
    let add = missing_addend(exporter, model, tensor);
    let kind = model.weight(tensor).map(|first| first.dtype.name());
    let (name, dims) = match plane {
        Some(plane) => (plane.name, plane.dims),
        None => (model.name_of(tensor), expression.shape()),
    };
    WrittenTensor { name, dims, add, kind, expression, inputs }
}
