//! The actions that create the tensors of a file, one for each.

use std::sync::Arc;

use mc_encoding::blocks::plain;
use mc_encoding::codec::Importance;
use mc_encoding::stored_form::StoredForm;
use mc_exporter::export_settings::ExportSettings;
use mc_exporter::exporter::Exporter;
use mc_exporter::model_description::ModelDescription;
use mc_exporter::plane::{EncodedTensor, Plane};
use mc_exporter::refusal::Refusal;
use mc_exporter::source_file::SourceFile;
use mc_expression::expression::TensorExpr;
use mc_expression::operators::cast::Cast;
use mc_expression::operators::encode::Encode;
use mc_expression::operators::literal::Literal;
use mc_expression::operators::quantize::Quantize;
use mc_ir::action::{ActionNode, Artifact, Input};
use mc_ir::attribute::{Place, Record};
use mc_ir::label::Label;
use mc_ir::rule_error::RuleError;

use crate::action::target_action::target_action;
use crate::calibrate::imatrix::ImatrixInfo;
use crate::quantize::tensor_action::{REPORT, TensorAction};
use crate::source::export_tensors::{ExportTensor, described, factor_tensors};
use crate::source::model_info::ModelInfo;

/// The tensors of the files and the actions that create them.
pub(crate) struct Plan {
    /// The tensors, as the format wrote their layout.
    pub(crate) tensors: Vec<EncodedTensor>,
    /// Their planes, in file order.
    pub(crate) planned: Vec<Planned>,
}

/// A plane of the files and the action that creates it.
pub(crate) struct Planned {
    /// Its position in the files.
    pub(crate) plane: Plane,
    /// Its bytes.
    pub(crate) artifact: Artifact,
    /// The quantization error of its tensor.
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
    /// The other files of the checkpoint.
    pub(crate) files: Vec<SourceFile<'a>>,
    /// The settings of the target.
    pub(crate) settings: &'a ExportSettings,
}

impl Planner<'_> {
    /// Checks that the format can express the model.
    ///
    /// # Errors
    /// One error for each property that it cannot express.
    pub(crate) fn check(&self) -> Result<(), Vec<RuleError>> {
        let refusals = self.exporter.accepts(&self.description());
        let is_allowed = |refusal: &Refusal| refusal.code.is_some_and(|code| self.settings.allows(code));
        let errors: Vec<RuleError> = refusals
            .into_iter()
            .filter(|refusal| !is_allowed(refusal))
            .map(|refusal| unsupported(self.place, refusal))
            .collect();
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// Plans every tensor of the files: those of the format itself, factors from a container, and the model's.
    ///
    /// * `forms`: those of `tensors`, in their order
    pub(crate) fn plan(
        &self,
        tensors: Vec<ExportTensor>,
        forms: impl Iterator<Item = StoredForm>,
    ) -> Result<Plan, Vec<RuleError>> {
        let own = self.exporter.own_tensors(&self.description()).into_iter().map(|(tensor, values)| {
            let expression = TensorExpr::new(Literal { values });
            ExportTensor { tensor, expression, inputs: Vec::new() }
        });
        let factors =
            own.chain(factor_tensors(self.model)).map(|tensor| (tensor, StoredForm::Blocks(&plain::F32)));
        self.steps(&factors.chain(tensors.into_iter().zip(forms)).collect::<Vec<_>>())
    }

    /// Plans these tensors, in this order.
    pub(crate) fn steps(&self, tensors: &[(ExportTensor, StoredForm)]) -> Result<Plan, Vec<RuleError>> {
        let encoded: Vec<EncodedTensor> =
            tensors.iter().map(|(of, form)| self.encoded(of, form)).collect::<Result<_, _>>()?;
        let planes = self
            .exporter
            .layout(&self.description(), &encoded)
            .map_err(|refusal| vec![rule_error(self.place, "export::type", refusal)])?;
        let name = |number: usize| {
            planes.iter().find(|plane| plane.tensor == number).map_or("", |plane| &plane.name)
        };
        let actions: Vec<TensorNode> =
            (0..).zip(tensors).map(|(number, (of, form))| self.step(of, form, name(number))).collect();
        let planned = planes.into_iter().map(|plane| actions[plane.tensor].planned(plane)).collect();
        Ok(Plan { tensors: encoded, planned })
    }

    /// Describes the model with the settings of the target.
    pub(crate) fn description(&self) -> ModelDescription<'_> {
        ModelDescription { files: &self.files, settings: self.settings, ..described(self.model) }
    }

    fn encoded(&self, of: &ExportTensor, form: &StoredForm) -> Result<EncodedTensor, Vec<RuleError>> {
        let name = self.model.weight(of.tensor).map_or("", |weight| weight.name.as_str());
        EncodedTensor::of(of.tensor, name, *form, of.expression.shape()).map_err(|error| {
            vec![RuleError::new(self.place, "export::shape", format!("Tensor `{name}`: {error}"))]
        })
    }

    fn step(&self, tensor: &ExportTensor, form: &StoredForm, name: &str) -> TensorNode {
        let (of, mut inputs) = (tensor.expression.clone(), tensor.inputs.clone());
        // Blocks that already have the requested type stay as they are: re-encoding them would only lose precision.
        let is_stored = match form {
            StoredForm::Blocks(codec) => {
                (self.is_copy || codec.block_len > 1) && of.stored_codec() == Some(*codec)
            }
            StoredForm::Planes { .. } => false,
        };
        let importance = self
            .imatrix
            .filter(|_| form.importance() != Importance::Ignored && !is_stored)
            .and_then(|imatrix| imatrix.rows.get(&tensor.tensor));
        let importance = importance.map(|artifact| {
            inputs.push(Input::Artifact(artifact.clone()));
            inputs.len() - 1
        });
        let expression = match form {
            _ if is_stored => of,
            StoredForm::Blocks(codec) => TensorExpr::new(Quantize::new(codec, importance, of)),
            StoredForm::Planes { encoding, weights } => {
                let of = if of.element_type() == *weights {
                    of
                } else {
                    TensorExpr::new(Cast { dtype: *weights, of })
                };
                TensorExpr::new(Encode::new(*encoding, importance, of))
            }
        };
        let is_weighed = importance.is_some();
        let action = TensorAction { expression, form: *form, name: name.to_owned() };
        let outputs = form.plane_names();
        let node = target_action(self.owner, self.record, action, inputs);
        TensorNode { node, outputs, is_weighed }
    }
}

/// The action of a tensor.
struct TensorNode {
    node: Arc<ActionNode>,
    /// Its outputs with the planes, in their order.
    outputs: Vec<&'static str>,
    is_weighed: bool,
}

impl TensorNode {
    fn planned(&self, plane: Plane) -> Planned {
        let artifact = self.node.artifact(self.outputs[plane.plane]);
        Planned { plane, artifact, report: self.node.artifact(REPORT), is_weighed: self.is_weighed }
    }
}

/// Creates the error for a property of a model that a format cannot express.
///
/// * `place`: location at which the model is named
pub(crate) fn unsupported(place: Place, refusal: Refusal) -> RuleError {
    rule_error(place, "export::unsupported", refusal)
}

/// Creates the error for a refusal; its help names the override, if there is one.
pub(crate) fn rule_error(place: Place, code: &'static str, refusal: Refusal) -> RuleError {
    let rule_error = RuleError::new(place, code, refusal.message);
    let allow = refusal.code.map(|code| format!("`allow \"{code}\"` writes it anyway"));
    let help: Vec<String> = refusal.help.into_iter().chain(allow).collect();
    if help.is_empty() { rule_error } else { rule_error.help(help.join("; ")) }
}
