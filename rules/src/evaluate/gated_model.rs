//! The model of a gate, as metrics see it: quantized and unquantized, with datasets, and actions that measure both.

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

/// Property with the dataset that a metric is measured on.
pub(crate) const ON: PropertySchema = PropertySchema {
    name: "on",
    value: ValueKind::Label,
    presence: Presence::Required,
    doc: "The dataset that is measured on.",
};

/// The model of a gate.
pub(crate) struct GatedModel<'a> {
    /// The gate.
    pub(crate) ctx: &'a dyn RuleContext,
    /// The quantized model; the unquantized one is the model that it was made of.
    pub(crate) export: &'a ExportInfo,
}

impl GatedModel<'_> {
    /// Returns the dataset that a node names, which must hold items of this kind.
    ///
    /// # Errors
    /// A fault at its name, when it is no such dataset.
    pub(crate) fn dataset(&self, node: &Record, kind: DatasetKind) -> Result<DatasetInfo, Vec<RuleError>> {
        let on = label_property(node, ON.name).ok_or_else(Vec::new)?;
        let data: DatasetInfo = self.provider(&on, "a `dataset`")?;
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

    /// Returns what a target that a node names provides.
    ///
    /// # Errors
    /// As [`provider`].
    pub(crate) fn provider<T: Provider + Clone>(
        &self,
        label: &Placed<Label>,
        expected: &str,
    ) -> Result<T, Vec<RuleError>> {
        provider(self.ctx, label, expected)
    }

    /// Returns the quantized model, to be measured.
    pub(crate) fn quantized(&self) -> (Subject, Vec<Input>) {
        Subject::of_export(self.export.format, &self.export.whole)
    }

    /// Returns the unquantized model, to be measured: the baseline.
    pub(crate) fn unquantized(&self) -> (Subject, Vec<Input>) {
        Subject::of_model(&self.export.model)
    }

    /// Measures one model, or several that one action has open side by side.
    pub(crate) fn measured<M: Measure<N_MODELS>, const N_MODELS: usize>(
        &self,
        models: [(Subject, Vec<Input>); N_MODELS],
        measure: M,
        data: &DatasetInfo,
    ) -> Artifact {
        let (action, inputs) = MeasureAction::new(models, measure, data);
        self.step(action, inputs).artifact(MEASUREMENT)
    }

    /// Makes an action a step of the gate.
    pub(crate) fn step(&self, action: impl Action + 'static, inputs: Vec<Input>) -> Arc<ActionNode> {
        target_action(self.ctx.label(), self.ctx.record(), action, inputs)
    }
}
