//! KL divergence of the quantized model's predictions on a text from those of the unquantized model.
//!
//! One action opens both models and runs them chunk by chunk, so logits are never stored.
//!
//! Source: `kl_divergence` of llama.cpp, whose numbers are comparable; [`mc_runtime::divergence`] defines
//! them.

use mc_digest::content_hash::ContentHash;
use mc_ir::action::{ActionContext, ActionError, ActionKind};
use mc_ir::attribute::Record;
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Arguments, ChildSchema, NodeSchema, Occurs, Presence, PropertySchema, ValueKind};
use mc_ir::work::ProgressUnit;
use mc_runtime::cancellation::Cancellation;
use mc_runtime::chunks::ChunkOptions;
use mc_runtime::divergence::{Divergence, divergence};
use serde::{Deserialize, Serialize};

use crate::action::remote_kind::{Parameters, RemoteKind};
use crate::attributes::number_property;
use crate::evaluate::chunk_context::{CONTEXT, chunk_context, context_of_parameters};
use crate::evaluate::gated_model::{GatedModel, ON};
use crate::evaluate::measure::{Data, Measure, MeasureAction};
use crate::evaluate::metric::{Metric, Plan, Results};
use crate::evaluate::number::{Bound, Number, nats, nats_limit, share_percent};
use crate::evaluate::verdict::{Check, percent};
use crate::inference::model_work;
use crate::inference::opened::{Opened, measurement_error};
use crate::source::dataset::DatasetKind;

/// A property that limits one of the numbers.
const fn limit(name: &'static str, value: ValueKind, doc: &'static str) -> PropertySchema {
    PropertySchema { name, value, presence: Presence::Optional, doc }
}

const MAX_MEAN: PropertySchema = limit("max-mean", ValueKind::Number, "Maximum mean divergence, in nats.");
const MAX_MEDIAN: PropertySchema =
    limit("max-median", ValueKind::Number, "Maximum median divergence, in nats.");
const MAX_P999: PropertySchema =
    limit("max-p999", ValueKind::Number, "Maximum 99.9th percentile of the divergence, in nats.");
const MIN_TOP_1: PropertySchema = limit(
    "min-top-1",
    ValueKind::Fraction,
    "Minimum share of positions at which both models rank the same token first.",
);
const MIN_TOP_5: PropertySchema = limit(
    "min-top-5",
    ValueKind::Fraction,
    "Minimum share of positions at which the baseline's top token is among the model's top five.",
);
const MAX_RMS_DELTA_P: PropertySchema = limit(
    "max-rms-delta-p",
    ValueKind::Fraction,
    "Maximum root mean square change of the next token's probability.",
);

static NODE: NodeSchema = NodeSchema {
    name: "kl",
    doc: "KL divergence from the unquantized model on held-out text, and agreement with it.",
    arguments: Arguments::None,
    properties: &[ON, MAX_MEAN, MAX_MEDIAN, MAX_P999, MIN_TOP_1, MIN_TOP_5, MAX_RMS_DELTA_P, CONTEXT],
    children: &[],
};

/// The limits, each of which is optional.
#[derive(ContentHash, Debug)]
#[content("kl")]
pub(crate) struct Kl {
    #[content("on")]
    on: String,
    #[content("max-mean")]
    max_mean: Option<f64>,
    #[content("max-median")]
    max_median: Option<f64>,
    #[content("max-p999")]
    max_p999: Option<f64>,
    #[content("min-top-1")]
    min_top_1: Option<f64>,
    #[content("min-top-5")]
    min_top_5: Option<f64>,
    #[content("max-rms-delta-p")]
    max_rms_delta_p: Option<f64>,
}

impl Metric for Kl {
    const SCHEMA: ChildSchema = ChildSchema { node: &NODE, occurs: Occurs::Any };
    const REMOTE: Option<RemoteKind> = Some(MeasureAction::<Compared, 2>::REMOTE);

    fn plan(gate: &GatedModel<'_>, node: &Record) -> Result<Plan<Self>, Vec<RuleError>> {
        let data = gate.dataset(node, DatasetKind::Text)?;
        let n_ctx = chunk_context(gate, node)?;
        check_limits(node)?;
        let limit = |schema: &PropertySchema| number_property(node, schema.name);
        let metric = Self {
            on: data.name.clone(),
            max_mean: limit(&MAX_MEAN),
            max_median: limit(&MAX_MEDIAN),
            max_p999: limit(&MAX_P999),
            min_top_1: limit(&MIN_TOP_1),
            min_top_5: limit(&MIN_TOP_5),
            max_rms_delta_p: limit(&MAX_RMS_DELTA_P),
        };
        let models = [gate.quantized(), gate.unquantized()];
        let results = vec![gate.measured(models, Compared { n_ctx }, &data)];
        Ok(Plan { metric, results, held_out: Some(data) })
    }

    fn judge(&self, results: &Results<'_>) -> Result<Vec<Check>, ActionError> {
        let found: Found = results.found(0)?;
        let row = |name: &str, number: Number, limit: Bound| number.check(name, &self.on, limit);
        Ok(vec![
            row("kl", found.mean, Bound::at_most(self.max_mean, nats_limit))
                .with_limits([(MAX_MEAN.name, self.max_mean)]),
            row("kl median", found.median, Bound::at_most(self.max_median, nats_limit))
                .with_limits([(MAX_MEDIAN.name, self.max_median)]),
            row("kl p99.9", found.p999, Bound::at_most(self.max_p999, nats_limit))
                .with_limits([(MAX_P999.name, self.max_p999)]),
            row("kl top-1", found.top_1, Bound::at_least(self.min_top_1))
                .with_limits([(MIN_TOP_1.name, self.min_top_1)]),
            row("kl top-5", found.top_5, Bound::at_least(self.min_top_5))
                .with_limits([(MIN_TOP_5.name, self.min_top_5)]),
            row("kl rms-delta-p", found.rms_delta_p, Bound::at_most(self.max_rms_delta_p, percent))
                .with_limits([(MAX_RMS_DELTA_P.name, self.max_rms_delta_p)]),
        ])
    }
}

/// Refuses a node without a limit, or with a limit that no number can meet.
fn check_limits(node: &Record) -> Result<(), Vec<RuleError>> {
    let limits = [MAX_MEAN, MAX_MEDIAN, MAX_P999, MIN_TOP_1, MIN_TOP_5, MAX_RMS_DELTA_P];
    let given: Vec<_> = limits.iter().filter_map(|limit| Some((limit, node.property(limit.name)?))).collect();
    if given.is_empty() {
        let rule_error = RuleError::new(node.place, "gate::limit", "`kl` has no limit");
        return Err(vec![rule_error.help("Add a limit, such as `max-mean=0.02` or `min-top-1=\"95%\"`")]);
    }
    let is_negative = |number: Option<f64>| number.is_some_and(|number| number < 0.0);
    let rule_errors: Vec<RuleError> = given
        .into_iter()
        .filter(|(_, value)| is_negative(value.value.as_number()))
        .map(|(limit, value)| {
            let message = format!("`{}` is negative; a divergence is at least 0", limit.name);
            RuleError::new(value.place, "gate::limit", message).help("Write a number from 0 up, in nats")
        })
        .collect();
    if rule_errors.is_empty() { Ok(()) } else { Err(rule_errors) }
}

/// The numbers, in the form that the action writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Found {
    mean: Number,
    median: Number,
    p999: Number,
    top_1: Number,
    top_5: Number,
    rms_delta_p: Number,
}

impl From<Divergence> for Found {
    fn from(found: Divergence) -> Self {
        Self {
            mean: Number::mean(found.mean, nats),
            median: Number::plain(found.median),
            p999: Number::plain(found.p999),
            top_1: Number::share(found.top_1),
            top_5: Number::share(found.top_5),
            rms_delta_p: Number::mean(found.rms_delta_p, share_percent),
        }
    }
}

/// Measures the divergence over chunks of `context` tokens.
struct Compared {
    n_ctx: usize,
}

impl Measure<2> for Compared {
    const KIND: ActionKind = ActionKind { name: "kl", version: mc_runtime::divergence::VERSION };

    type Found = Found;

    fn parameters(&self) -> Vec<(String, String)> {
        vec![(CONTEXT.name.to_owned(), self.n_ctx.to_string())]
    }

    fn of_parameters(parameters: &Parameters) -> Result<(&Parameters, Self), String> {
        let (before, n_ctx) = context_of_parameters(parameters)?;
        Ok((before, Self { n_ctx }))
    }

    fn measure(
        &self,
        [model, baseline]: &[Opened; 2],
        data: &Data,
        ctx: &dyn ActionContext,
    ) -> Result<Found, ActionError> {
        // Both models read the token ids of the baseline, as in llama.cpp; `tokenizer-fidelity` checks that
        // the file has the same.
        let ids = baseline.text_ids(data.items.clone(), ctx)?;
        let options = ChunkOptions { n_ctx: self.n_ctx, bos: baseline.begin(), max_chunks: None };
        let is_cancelled = || ctx.is_cancelled();
        let report = model_work::report(ctx, ProgressUnit::Tokens);
        let cancellation = Cancellation::new(&is_cancelled).reporting(&report);
        let found = divergence(&model.model, &baseline.model, &ids, &options, cancellation)
            .map_err(|error| measurement_error(&format!("KL divergence on `{}`", data.name), &error))?;
        Ok(found.into())
    }
}

#[cfg(test)]
mod tests {
    use mc_ir::attribute::Value;
    use mc_runtime::estimate::{Estimate, Share};

    use super::*;
    use crate::evaluate::metric::Row;
    use crate::evaluate::toy_gate::{label, toy_checks};

    /// Returns the verdict lines for a toy whose file has the numbers of a seed; its checkpoint has those of
    /// seed 0.
    fn checks(seed: u32) -> Vec<Check> {
        let properties = [
            (ON.name, Value::Label(label("held-out"))),
            (CONTEXT.name, Value::Integer(4)),
            (MAX_MEAN.name, Value::Number(mc_ir::attribute::Number(0.0))),
        ];
        toy_checks(&const { Row::of::<Kl>() }, seed, properties)
    }

    #[test]
    fn a_file_with_the_weights_of_its_checkpoint_does_not_diverge_and_another_does() {
        let values = |checks: &[Check]| checks.iter().map(|check| check.value).collect::<Vec<_>>();
        let same = checks(0);
        assert_eq!(values(&same), [0.0, 0.0, 0.0, 1.0, 1.0, 0.0].map(Some));
        assert!(same.iter().all(|check| check.passed));
        let other = checks(7);
        assert!(!other[0].passed && other[0].value > Some(0.0), "{:?}", other[0]);
        assert!(other[1..].iter().all(|check| check.passed), "a number without a limit passes");
    }

    fn found(top_1: usize) -> Found {
        Found::from(Divergence {
            n_chunks: 1,
            n_scored: 200,
            mean: Estimate { value: 0.012_345_6, standard_error: 0.000_5 },
            median: 0.003,
            p999: 0.25,
            top_1: Share { n_counted: top_1, n: 200 },
            top_5: Share { n_counted: 200, n: 200 },
            rms_delta_p: Estimate { value: 0.015, standard_error: 0.02 },
        })
    }

    #[test]
    fn numbers_are_shown_with_their_uncertainty() {
        let found = found(190);
        let text =
            |number: &Number| (number.shown.clone(), number.interval.clone().map(|interval| interval.shown));
        let row = |shown: &str, interval: &str| (shown.to_owned(), Some(interval.to_owned()));
        assert_eq!(text(&found.mean), row("0.012346 ± 5.000e-4", "0.011366 to 0.013326"));
        assert_eq!(text(&found.p999), ("0.250000".to_owned(), None));
        assert_eq!(text(&found.top_1), row("95.000 % ± 1.545 %", "91.042 % to 97.262 %"));
        assert_eq!(text(&found.top_5), row("100.000 % ± 0.000 %", "98.115 % to 100.000 %"));
        assert_eq!(text(&found.rms_delta_p), row("1.500 % ± 2.000 %", "0.000 % to 5.420 %"));
    }

    #[test]
    fn a_number_without_a_limit_passes() {
        let check = |limit| found(190).mean.check("kl", "held-out", Bound::at_most(limit, nats_limit));
        let limits = [None, Some(0.02), Some(0.01)].map(check).map(|check| (check.limit, check.passed));
        assert_eq!(
            limits,
            [
                ("none".to_owned(), true),
                ("at most 0.02".to_owned(), true),
                ("at most 0.01".to_owned(), false)
            ]
        );
        let share = found(190).top_1.check("kl top-1", "held-out", Bound::at_least(Some(0.95)));
        assert!(share.passed, "a share equal to the minimum passes");
    }
}
