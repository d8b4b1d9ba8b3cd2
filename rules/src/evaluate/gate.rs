//! `gate`: conditions that a model must meet before it is published.
//!
//! Each check is a node of a metric (`evaluate::metrics`), measured by its own actions; the verdict
//! joins them. A failed verdict is a result like any other and is cached: only the bundle and the command
//! line refuse to continue.

use mc_ir::action::{Artifact, Input};
use mc_ir::provider::Providers;
use mc_ir::rule::{Rule, RuleContext};
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Arguments, ChildSchema, NodeSchema, Occurs};

use crate::action::exec_property::EXEC_PROPERTY;
use crate::action::tags::TAGS;
use crate::action::target_action::target_action;
use crate::attributes::provider;
use crate::evaluate::gated_model::GatedModel;
use crate::evaluate::judge::{Judge, VERDICT};
use crate::evaluate::leak;
use crate::evaluate::metric::AnyPlan;
use crate::evaluate::metrics::{METRICS, N_METRICS, NODES};
use crate::export::export_info::ExportInfo;
use crate::export::model_node::{MODEL, MODEL_EXPECTED, OLD_MODEL, exported_model};

/// The rule's name.
pub const NAME: &str = "gate";

/// The `gate` rule.
pub struct Gate;

/// Provider of a gate, read by a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateInfo {
    /// The verdict as JSON.
    pub verdict: Artifact,
}

/// The model, the metrics, and the children that every rule with actions has.
static CHILDREN: [ChildSchema; N_METRICS + 4] = {
    let mut children = [ChildSchema { node: &MODEL, occurs: Occurs::Optional }; N_METRICS + 4];
    let mut index = 0;
    while index < N_METRICS {
        children[1 + index] = NODES[index];
        index += 1;
    }
    children[1 + N_METRICS] = ChildSchema { node: &EXEC_PROPERTY, occurs: Occurs::Any };
    children[2 + N_METRICS] = ChildSchema { node: &TAGS, occurs: Occurs::Optional };
    children[3 + N_METRICS] = ChildSchema { node: &OLD_MODEL, occurs: Occurs::Optional };
    children
};

static SCHEMA: NodeSchema = NodeSchema {
    name: NAME,
    doc: "Conditions that a model must meet before it is published.",
    arguments: Arguments::None,
    properties: &[],
    children: &CHILDREN,
};

impl Rule for Gate {
    fn schema(&self) -> &'static NodeSchema {
        &SCHEMA
    }

    fn analyze(&self, ctx: &dyn RuleContext) -> Result<Providers, Vec<RuleError>> {
        let (owner, record) = (ctx.label(), ctx.record());
        let named = exported_model(record)?;
        let export: ExportInfo = provider(ctx, &named, MODEL_EXPECTED)?;
        let plans = plans(&GatedModel { ctx, export: &export })?;
        let mut inputs: Vec<Artifact> = plans.iter().flat_map(|plan| &plan.results).cloned().collect();
        if let Some(calibration) = &export.calibration {
            // A model must not be measured on its calibration text.
            let held_out = plans.iter().filter_map(|plan| plan.held_out.as_ref());
            inputs.extend(held_out.map(|data| leak::action(owner, record, calibration, data)));
        }
        let inputs = inputs.into_iter().map(Input::Artifact).collect();
        let judge = Judge::new(plans);
        let verdict = target_action(owner, record, judge, inputs).artifact(VERDICT);
        let mut providers = Providers::default().with(GateInfo { verdict: verdict.clone() });
        providers.outputs.push((VERDICT.to_owned(), verdict.clone()));
        providers.gates.push(verdict);
        Ok(providers)
    }
}

/// Returns the plan of every check, in the order of the metrics.
fn plans(gate: &GatedModel<'_>) -> Result<Vec<AnyPlan>, Vec<RuleError>> {
    let record = gate.ctx.record();
    let (mut plans, mut rule_errors) = (Vec::new(), Vec::new());
    for metric in METRICS {
        for node in record.children(metric.schema.node.name) {
            match (metric.plan)(gate, node) {
                Ok(plan) => plans.push(plan),
                Err(found) => rule_errors.extend(found),
            }
        }
    }
    if plans.is_empty() && rule_errors.is_empty() {
        let rule_error = RuleError::new(record.place, "gate::empty", "The gate has no check");
        rule_errors.push(rule_error.help("Add `perplexity on=…`, `accuracy on=…` or `size max=…`"));
    }
    if rule_errors.is_empty() { Ok(plans) } else { Err(rule_errors) }
}
