//! The steps that make the tensors of a GGUF, one for each.

use mc_encoding::codec::{Codec, Importance};
use mc_encoding::recipes::recipe::Choice;
use mc_encoding::stored_form::StoredForm;
use mc_expression::expression::TensorExpr;
use mc_expression::operators::literal::Literal;
use mc_expression::operators::quantize::Quantize;
use mc_gguf::layout::TensorPlan;
use mc_gguf::names::wire_name_in;
use mc_gguf::tensor_type::TensorType;
use mc_ir::action::{Artifact, Input};
use mc_ir::attribute::{Place, Record};
use mc_ir::fault::Fault;
use mc_ir::label::Label;

use crate::action::target_step::target_step;
use crate::calibrate::imatrix::ImatrixInfo;
use crate::quantize::tensor_action::{REPORT, TENSOR, TensorAction};
use crate::source::model_info::ModelInfo;
use crate::source::wire_tensors::{WireTensor, factor_tensors, family_of};

/// A tensor of the file and the step that makes it.
pub(crate) struct Planned {
    /// Its place in the file.
    pub(crate) plan: TensorPlan,
    /// Its bytes.
    pub(crate) artifact: Artifact,
    /// What was lost.
    pub(crate) report: Artifact,
}

/// Plans the steps of a file.
pub(crate) struct Planner<'a> {
    /// The target that wants them.
    pub(crate) owner: &'a Label,
    /// Its attributes.
    pub(crate) record: &'a Record,
    /// Where the model is named.
    pub(crate) place: Place,
    /// The model.
    pub(crate) model: &'a ModelInfo,
    /// What its columns weigh.
    pub(crate) imatrix: Option<&'a ImatrixInfo>,
    /// Whether tensors stay as they are whatever their type.
    pub(crate) is_copy: bool,
}

impl Planner<'_> {
    /// Every tensor of the file, in the order of llama.cpp's converter.
    pub(crate) fn plan(
        &self,
        tensors: Vec<WireTensor>,
        choices: &[Choice],
    ) -> Result<Vec<Planned>, Vec<Fault>> {
        let family = family_of(self.model);
        let extra = family.map(|family| family.extra_tensors(&self.model.decoder)).unwrap_or_default();
        let extra = extra.into_iter().map(|(tensor, values)| {
            let expression = TensorExpr::new(Literal { values });
            WireTensor { tensor, expression, inputs: Vec::new() }
        });
        let factors =
            extra.chain(factor_tensors(self.model)).map(|tensor| (tensor, &mc_encoding::blocks::plain::F32));
        let tensors = tensors.into_iter().zip(choices.iter().map(|choice| choice.codec));
        self.steps(&factors.chain(tensors).collect::<Vec<_>>())
    }

    /// These tensors, in this order.
    pub(crate) fn steps(&self, tensors: &[(WireTensor, &'static Codec)]) -> Result<Vec<Planned>, Vec<Fault>> {
        tensors.iter().map(|(tensor, codec)| self.tensor_step(tensor, codec)).collect()
    }

    fn tensor_step(&self, tensor: &WireTensor, codec: &'static Codec) -> Result<Planned, Vec<Fault>> {
        let importance = self
            .imatrix
            .filter(|_| codec.importance != Importance::Ignored)
            .and_then(|imatrix| imatrix.rows.get(&tensor.tensor));
        let name = wire_name_in(&self.model.decoder.architecture, tensor.tensor);
        self.step(name, codec, tensor.expression.clone(), tensor.inputs.clone(), importance)
    }

    fn step(
        &self,
        name: String,
        codec: &'static Codec,
        of: TensorExpr,
        mut inputs: Vec<Input>,
        importance: Option<&Artifact>,
    ) -> Result<Planned, Vec<Fault>> {
        let importance = importance.map(|artifact| {
            inputs.push(Input::Artifact(artifact.clone()));
            inputs.len() - 1
        });
        let dims: Vec<u64> = of.shape().into_iter().rev().collect();
        let unknown = || {
            let message = format!("Tensor `{name}` with dimensions {dims:?} cannot be stored as {codec}");
            vec![Fault::new(self.place, "gguf::type", message)]
        };
        let kind = TensorType::of(codec);
        kind.n_bytes(&dims).ok_or_else(unknown)?;
        // Blocks are not made anew of themselves, which would lose something for nothing.
        let is_stored = (self.is_copy || codec.block_len > 1) && of.stored_codec() == Some(codec);
        let expression = if is_stored { of } else { TensorExpr::new(Quantize::new(codec, importance, of)) };
        let action = TensorAction { expression, form: StoredForm::Blocks(codec), name: name.clone() };
        let node = target_step(self.owner, self.record, action, inputs);
        Ok(Planned {
            plan: TensorPlan { name, kind, dims },
            artifact: node.artifact(TENSOR),
            report: node.artifact(REPORT),
        })
    }
}
