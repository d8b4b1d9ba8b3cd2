//! The tensors of a model as a format would write them, before encoding; used to compare a model with a file.
//!
//! Names, shapes and changes (rotary pairs, norms, stacked experts) are the same as in
//! `export::tensor_actions`. This module encodes and stores nothing.

use mc_encoding::blocks::plain::F32;
use mc_exporter::plane::{EncodedTensor, Plane};
use mc_expression::evaluator::Evaluator;
use mc_expression::expression::TensorExpr;
use mc_expression::operators::literal::Literal;
use mc_ir::action::{ActionError, Input};

use crate::action::evaluation::{action_error, evaluator};
use crate::exporters;
use crate::inference::source_inputs::{ReadSource, SourceInputs};
use crate::source::export_tensors::{ExportTensor, described, export_tensors, factor_tensors};
use crate::source::model_info::ModelInfo;

/// A tensor as a format would write it.
pub struct WrittenTensor {
    /// Its name in the file.
    pub name: String,
    /// Its dimensions, as the file writes them.
    pub dims: Vec<u64>,
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
    Ok(planes.into_iter().map(|plane| written(model, &tensors, plane)).collect())
}

/// A tensor without an encoding; F32 accepts every shape.
fn plain_tensor(model: &ModelInfo, of: &ExportTensor) -> EncodedTensor {
    let name = model.weight(of.tensor).map_or("", |weight| weight.name.as_str());
    EncodedTensor::blocks(of.tensor, name, &F32, of.expression.shape())
}

fn written(model: &ModelInfo, tensors: &[ExportTensor], plane: Plane) -> WrittenTensor {
    let of = &tensors[plane.tensor];
    let kind = model.weight(of.tensor).map(|first| first.dtype.name());
    let ExportTensor { expression, inputs, .. } = of.clone();
    WrittenTensor { name: plane.name, dims: plane.dims, kind, expression, inputs }
}
