//! The actions that create the tensors of a file, one for each.

use mc_encoding::codec::{Codec, Importance};
use mc_encoding::stored_form::StoredForm;
use mc_exporter::exporter::Exporter;
use mc_exporter::plane::{EncodedTensor, Plane};
use mc_exporter::refusal::Refusal;
use mc_expression::expression::TensorExpr;
use mc_expression::operators::literal::Literal;
use mc_expression::operators::quantize::Quantize;
use mc_ir::action::{Artifact, Input};
use mc_ir::attribute::{Place, Record};
use mc_ir::label::Label;
use mc_ir::rule_error::RuleError;

use crate::action::target_action::target_action;
use crate::calibrate::imatrix::ImatrixInfo;
use crate::quantize::tensor_action::{REPORT, TENSOR, TensorAction};
use crate::source::export_tensors::{ExportTensor, described, factor_tensors};
use crate::source::model_info::ModelInfo;

/// A tensor of the file and the action that creates it.
pub(crate) struct Planned {
    /// Its position in the file.
    pub(crate) plane: Plane,
    /// Its bytes.
    pub(crate) artifact: Artifact,
    /// The quantization error.
    pub(crate) report: Artifact,
    /// True if the imatrix is an input of the action.
    pub(crate) is_weighed: bool,
}

/// Plans the actions of a file.
pub(crate) struct Planner<'a> {
    /// The format of the file.
    pub(crate) exporter: &'static dyn Exporter,
    /// The target to which the actions belong.
    pub(crate) owner: &'a Label,
    /// Its attributes.
    pub(crate) record: &'a Record,
    /// Location at which the model is named.
    pub(crate) place: Place,
    /// The model.
    pub(crate) model: &'a ModelInfo,
    /// The importance of its columns.
    pub(crate) imatrix: Option<&'a ImatrixInfo>,
    /// True if all tensors keep their stored type.
    pub(crate) is_copy: bool,
}

impl Planner<'_> {
    /// Checks that the format can express the model.
    ///
    /// # Errors
    /// One error for each property that it cannot express.
    pub(crate) fn check(&self) -> Result<(), Vec<RuleError>> {
        let refusals = self.exporter.accepts(&described(self.model));
        if refusals.is_empty() {
            return Ok(());
        }
        Err(refusals.into_iter().map(|refusal| unsupported(self.place, refusal)).collect())
    }

    /// Plans every tensor of the file: those of the format itself, factors from a container, and the model's.
    ///
    /// * `codecs`: those of `tensors`, in their order
    pub(crate) fn plan(
        &self,
        tensors: Vec<ExportTensor>,
        codecs: impl Iterator<Item = &'static Codec>,
    ) -> Result<Vec<Planned>, Vec<RuleError>> {
        let own = self.exporter.own_tensors(&described(self.model)).into_iter().map(|(tensor, values)| {
            let expression = TensorExpr::new(Literal { values });
            ExportTensor { tensor, expression, inputs: Vec::new() }
        });
        let factors =
            own.chain(factor_tensors(self.model)).map(|tensor| (tensor, &mc_encoding::blocks::plain::F32));
        self.steps(&factors.chain(tensors.into_iter().zip(codecs)).collect::<Vec<_>>())
    }

    /// Plans these tensors, in this order.
    pub(crate) fn steps(
        &self,
        tensors: &[(ExportTensor, &'static Codec)],
    ) -> Result<Vec<Planned>, Vec<RuleError>> {
        let encoded: Vec<EncodedTensor> = tensors
            .iter()
            .map(|(of, codec)| EncodedTensor::whole(of.tensor, codec.name, of.expression.shape()))
            .collect();
        let planes = self
            .exporter
            .layout(&described(self.model), &encoded)
            .map_err(|refusal| vec![rule_error(self.place, "gguf::type", refusal)])?;
        let step = |plane: Plane| {
            let (tensor, codec) = &tensors[plane.tensor];
            self.step(plane, tensor, codec)
        };
        Ok(planes.into_iter().map(step).collect())
    }

    fn step(&self, plane: Plane, tensor: &ExportTensor, codec: &'static Codec) -> Planned {
        let (of, mut inputs) = (tensor.expression.clone(), tensor.inputs.clone());
        // Blocks that already have the requested type stay as they are: re-encoding them would only lose precision.
        let is_stored = (self.is_copy || codec.block_len > 1) && of.stored_codec() == Some(codec);
        let importance = self
            .imatrix
            .filter(|_| codec.importance != Importance::Ignored && !is_stored)
            .and_then(|imatrix| imatrix.rows.get(&tensor.tensor));
        let importance = importance.map(|artifact| {
            inputs.push(Input::Artifact(artifact.clone()));
            inputs.len() - 1
        });
        let expression = if is_stored { of } else { TensorExpr::new(Quantize::new(codec, importance, of)) };
        let is_weighed = importance.is_some();
        let action = TensorAction { expression, form: StoredForm::Blocks(codec), name: plane.name.clone() };
        let node = target_action(self.owner, self.record, action, inputs);
        Planned { plane, artifact: node.artifact(TENSOR), report: node.artifact(REPORT), is_weighed }
    }
}

/// Creates the error for a property of a model that a format cannot express.
///
/// * `place`: location at which the model is named
pub(crate) fn unsupported(place: Place, refusal: Refusal) -> RuleError {
    rule_error(place, "export::unsupported", refusal)
}

fn rule_error(place: Place, code: &'static str, refusal: Refusal) -> RuleError {
    let rule_error = RuleError::new(place, code, refusal.message);
    match refusal.help {
        Some(help) => rule_error.help(help),
        None => rule_error,
    }
}
