//! A test metric that opens two models at once: the share of positions at which both rank the same token
//! first.
//!
//! It takes the path of every metric: a node is planned, its action runs, a worker recreates the action, and
//! the verdict judges the result.

use std::sync::Arc;

use mc_digest::content_hash::ContentHash;
use mc_ir::action::{ActionContext, ActionError, ActionKind, Input};
use mc_ir::attribute::{Place, Placed, Record, Value};
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Arguments, ChildSchema, NodeSchema, Occurs};
use mc_runtime::estimate::Share;
use mc_runtime::logits::LogitPositions;

use crate::action::remote_kind::{Parameters, RemoteKind};
use crate::attributes::number_property;
use crate::evaluate::gated_model::{GatedModel, ON};
use crate::evaluate::interval::Interval;
use crate::evaluate::judge::Judge;
use crate::evaluate::measure::{Data, Measure, MeasureAction};
use crate::evaluate::measurement::Measurement;
use crate::evaluate::metric::{AnyPlan, Metric, Plan, Results, Row};
use crate::evaluate::toy_gate::{ToyGate, label, toy};
use crate::evaluate::verdict::{Check, Verdict, percent};
use crate::export::export_info::ExportInfo;
use crate::inference::opened::Opened;
use crate::source::dataset::DatasetKind;

static NODE: NodeSchema = NodeSchema {
    name: "agreement",
    doc: "Share of positions at which both models rank the same token first.",
    arguments: Arguments::None,
    properties: &[ON],
    children: &[],
};

/// Minimum share of positions.
#[derive(ContentHash, Debug)]
#[content("agreement")]
struct Agreement {
    #[content("on")]
    on: String,
    #[content("min")]
    min: f64,
}

impl Metric for Agreement {
    const SCHEMA: ChildSchema = ChildSchema { node: &NODE, occurs: Occurs::Any };
    const REMOTE: Option<RemoteKind> = Some(MeasureAction::<Likeliest, 2>::REMOTE);

    fn plan(gate: &GatedModel<'_>, node: &Record) -> Result<Plan<Self>, Vec<RuleError>> {
        let data = gate.dataset(node, DatasetKind::Text)?;
        let min = number_property(node, "min").unwrap_or(1.0);
        let models = [gate.quantized(), gate.unquantized()];
        Ok(Plan {
            results: vec![gate.measured(models, Likeliest, &data)],
            metric: Self { on: data.name.clone(), min },
            held_out: Some(data),
        })
    }

    fn judge(&self, results: &Results<'_>) -> Result<Vec<Check>, ActionError> {
        let measured = results.measurement(0)?;
        Ok(vec![Check {
            name: NODE.name.to_owned(),
            on: Some(self.on.clone()),
            measured: measured.shown,
            value: Some(measured.value),
            limit: format!("at least {}", percent(self.min)),
            interval: Some(measured.interval),
            passed: measured.value >= self.min,
            ..Check::default()
        }])
    }
}

/// The most likely token at every position.
struct Likeliest;

impl Measure<2> for Likeliest {
    const KIND: ActionKind = ActionKind { name: "agreement", version: 1 };

    type Found = Measurement;

    fn parameters(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    fn of_parameters(parameters: &Parameters) -> Result<(&Parameters, Self), String> {
        Ok((parameters, Self))
    }

    fn measure(
        &self,
        [quantized, unquantized]: &[Opened; 2],
        data: &Data,
        ctx: &dyn ActionContext,
    ) -> Result<Measurement, ActionError> {
        let ids = quantized.text_ids(data.items.clone(), ctx)?;
        let (left, right) = (likeliest(quantized, &ids)?, likeliest(unquantized, &ids)?);
        let n_equal = left.iter().zip(&right).filter(|(left, right)| left == right).count();
        let shown = format!("{n_equal} of {}", ids.len());
        let share = Share { n_counted: n_equal, n: ids.len() };
        let interval = Interval::new(share.interval(), percent);
        Ok(Measurement { value: share.estimate().value, shown, interval })
    }
}

fn likeliest(model: &Opened, ids: &[u32]) -> Result<Vec<usize>, ActionError> {
    let mut cache = model.model.new_cache(ids.len());
    let logits = model.model.forward(ids, &mut cache, &LogitPositions::All, None);
    let logits = logits.map_err(ActionError::failed)?;
    let likeliest = |row: &[f32]| (0..row.len()).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap_or(0);
    Ok((0..ids.len()).map(|position| likeliest(logits.row(position))).collect())
}

/// Plans the metric through its row.
fn plan(export: &ExportInfo) -> AnyPlan {
    let mut node = Record::new(Place(0));
    let on = Placed { value: Value::Label(label("held-out")), place: Place(0) };
    node.properties.insert(ON.name.to_owned(), on);
    let row = const { Row::of::<Agreement>() };
    (row.plan)(&GatedModel { ctx: &ToyGate::new(), export }, &node).unwrap()
}

/// Returns the verdict line.
fn check(seed: u32) -> Check {
    let (export, mut bytes) = toy(seed);
    let plan = plan(&export);
    let node = Arc::clone(&plan.results[0].node);
    bytes.run(&*node.action, &node.inputs, "measurement.json");
    let results: Vec<Input> = plan.results.iter().cloned().map(Input::Artifact).collect();
    bytes.run(&Judge::new(vec![plan]), &results, "verdict.json");
    Verdict::from_json(&bytes.known["verdict.json"]).unwrap().checks.remove(0)
}

#[test]
fn a_metric_may_compare_two_models_that_are_open_at_once() {
    let same = check(0);
    assert!(same.passed, "{}", same.measured);
    assert_eq!(
        (same.name.as_str(), same.value, same.limit.as_str()),
        ("agreement", Some(1.0), "at least 100 %")
    );
    let other = check(7);
    assert!(!other.passed && other.value < Some(1.0), "{}", other.measured);
}

#[test]
fn a_worker_recreates_the_action_of_two_models() {
    let (export, mut bytes) = toy(0);
    let node = Arc::clone(&plan(&export).results[0].node);
    assert_eq!(node.action.describe(), "quantized and unquantized model on held-out");
    let remote = Row::of::<Agreement>().remote.unwrap();
    let action = (remote.make)(&node.action.parameters()).unwrap();
    assert_eq!((action.kind(), action.parameters()), (node.action.kind(), node.action.parameters()));
    bytes.run(&*action, &node.inputs, "measurement.json");
    let of_one = &node.action.parameters()[..2];
    let refused = (remote.make)(of_one).map(drop).unwrap_err();
    assert_eq!(refused, "Expected the parameters of 2 models; found 1");
}
