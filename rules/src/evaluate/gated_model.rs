//! The model under a gate, as metrics use it: quantized and unquantized, with datasets, and actions that
//! measure both.

use std::sync::Arc;

use mc_ir::action::{Action, ActionNode, Artifact, Input};
use mc_ir::attribute::{Placed, Record};
use mc_ir::label::Label;
use mc_ir::provider::Provider;
use mc_ir::rule::RuleContext;
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Presence, PropertySchema, ValueKind};

use crate::action::target_action::target_action;
use crate::attributes::{label_property, provider};
use crate::evaluate::measure::{MEASUREMENT, Measure, MeasureAction};
use crate::export::export_info::ExportInfo;
use crate::inference::subject::Subject;
use crate::source::dataset::{DatasetInfo, DatasetKind};

/// Property that names the dataset of a metric.
pub(crate) const ON: PropertySchema = PropertySchema {
    name: "on",
    value: ValueKind::Label,
    presence: Presence::Required,
    doc: "The dataset to measure on.",
};

/// The model of a gate.
pub(crate) struct GatedModel<'a> {
    /// The gate.
    pub(crate) ctx: &'a dyn RuleContext,
    /// The quantized model; it refers to the unquantized model from which it was made.
    pub(crate) export: &'a ExportInfo,
}

impl GatedModel<'_> {
    /// Returns the dataset that a node names; its items must be of this kind.
    ///
    /// # Errors
    /// An error at the name if it is not such a dataset.
    pub(crate) fn dataset(&self, node: &Record, kind: DatasetKind) -> Result<DatasetInfo, Vec<RuleError>> {
        let data = self.any_dataset(node)?;
        let on = label_property(node, ON.name).ok_or_else(Vec::new)?;
        if data.kind == kind {
            return Ok(data);
        }
        let expected = match kind {
            DatasetKind::Text => "text (`.txt` or `.md`)",
            DatasetKind::Json => "questions (`.jsonl`, each with `utterance` and `answer`)",
        };
        let message = format!("`{}` does not hold {expected}", on.value);
        Err(vec![RuleError::new(on.place, "gate::dataset", message)])
    }

    /// Returns the dataset that a node names, whatever its items are.
    ///
    /// # Errors
    /// An error at the name if it is not a dataset.
    pub(crate) fn any_dataset(&self, node: &Record) -> Result<DatasetInfo, Vec<RuleError>> {
        let on = label_property(node, ON.name).ok_or_else(Vec::new)?;
        self.provider(&on, "a `dataset`")
    }

    /// Returns a provider of the target that a node names.
    ///
    /// # Errors
    /// Same as [`provider`].
    pub(crate) fn provider<T: Provider + Clone>(
        &self,
        label: &Placed<Label>,
        expected: &str,
    ) -> Result<T, Vec<RuleError>> {
        provider(self.ctx, label, expected)
    }

    /// Returns the quantized model and its inputs.
    pub(crate) fn quantized(&self) -> (Subject, Vec<Input>) {
        let ExportInfo { format, whole, written, model, .. } = self.export;
        match written {
            None => Subject::of_export(format, whole),
            Some(written) => Subject::of_written(format, model, written),
        }
    }

    /// Returns the unquantized model, which is the baseline, and its inputs.
    pub(crate) fn unquantized(&self) -> (Subject, Vec<Input>) {
        Subject::of_model(&self.export.model)
    }

    /// Plans the measurement of one model, or of several models that one action opens together.
    pub(crate) fn measured<M: Measure<N_MODELS>, const N_MODELS: usize>(
        &self,
        models: [(Subject, Vec<Input>); N_MODELS],
        measure: M,
        data: &DatasetInfo,
    ) -> Artifact {
        let (action, inputs) = MeasureAction::new(models, measure, data);
        self.step(action, inputs).artifact(MEASUREMENT)
    }

    /// Adds an action to the gate.
    pub(crate) fn step(&self, action: impl Action + 'static, inputs: Vec<Input>) -> Arc<ActionNode> {
        target_action(self.ctx.label(), self.ctx.record(), action, inputs)
    }
}
