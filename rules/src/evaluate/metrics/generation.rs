//! Generation: what goes wrong when the model answers at length. It answers the prompts of a dataset greedily; the share
//! of empty answers, of endless loops, of unused tokens and of repeated sequences is compared with the baseline's.
//!
//! A short smoke test, and even a good perplexity, do not show these failures: a model that loops after 50 tokens scores
//! a given text well.

use mc_digest::content_hash::ContentHash;
use mc_ir::action::{ActionContext, ActionError, ActionKind};
use mc_ir::attribute::Record;
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Arguments, ChildSchema, NodeSchema, Occurs, Presence, PropertySchema, ValueKind};
use mc_ir::work::ProgressUnit;
use mc_runtime::accuracy::{Question, answers};
use mc_runtime::cancellation::Cancellation;

use crate::action::remote_kind::{Parameters, RemoteKind, last, number};
use crate::attributes::number_property;
use crate::evaluate::answer_faults::{self, AnswerFaults, Fault, FaultCounter};
use crate::evaluate::gated_model::{GatedModel, ON};
use crate::evaluate::interval::Interval;
use crate::evaluate::measure::{Data, Measure, MeasureAction};
use crate::evaluate::metric::{Metric, Plan, Results};
use crate::evaluate::prompt_items::{items_of_parameters, items_parameter, prompt_items};
use crate::evaluate::verdict::{Check, percent};
use crate::inference::model_work;
use crate::inference::opened::{Opened, measurement_error};
use crate::source::dataset::DatasetKind;

/// A property with the maximum of a share above the baseline's.
const fn max(name: &'static str, default: &'static str, doc: &'static str) -> PropertySchema {
    PropertySchema { name, value: ValueKind::Fraction, presence: Presence::Default(default), doc }
}

const MAX_EMPTY: PropertySchema = max(
    "max-empty",
    "0%",
    "Maximum share of answers without text above the baseline's, in percentage points.",
);
const MAX_LOOPS: PropertySchema = max(
    "max-loops",
    "5%",
    "Maximum share of answers that end in a loop above the baseline's, in percentage points.",
);
const MAX_UNUSED: PropertySchema = max(
    "max-unused",
    "0%",
    "Maximum share of padding, unknown and unused tokens above the baseline's, in percentage points.",
);
const MAX_REPETITION: PropertySchema = max(
    "max-repetition",
    "10%",
    "Maximum share of repeated sequences of four tokens above the baseline's, in percentage points.",
);
const MIN_TOKENS: PropertySchema = PropertySchema {
    name: "min-tokens",
    value: ValueKind::Integer,
    presence: Presence::Default("1000"),
    doc: "Minimum number of generated tokens, without which the other numbers mean little.",
};
const MAX_TOKENS: PropertySchema = PropertySchema {
    name: "max-tokens",
    value: ValueKind::Integer,
    presence: Presence::Default("128"),
    doc: "Maximum number of tokens in an answer.",
};

static NODE: NodeSchema = NodeSchema {
    name: "generation",
    doc: "Long greedy answers: empty ones, loops, unused tokens and repetition, against the unquantized model.",
    arguments: Arguments::None,
    properties: &[ON, MIN_TOKENS, MAX_TOKENS, MAX_EMPTY, MAX_LOOPS, MAX_UNUSED, MAX_REPETITION],
    children: &[],
};

/// The limits.
#[derive(ContentHash, Debug)]
#[content("generation")]
pub(crate) struct Generation {
    #[content("on")]
    on: String,
    #[content("min-tokens")]
    min_tokens: u64,
    #[content("max-empty")]
    max_empty: f64,
    #[content("max-loops")]
    max_loops: f64,
    #[content("max-unused")]
    max_unused: f64,
    #[content("max-repetition")]
    max_repetition: f64,
}

impl Metric for Generation {
    const SCHEMA: ChildSchema = ChildSchema { node: &NODE, occurs: Occurs::Any };
    const REMOTE: Option<RemoteKind> = Some(MeasureAction::<Answers, 1>::REMOTE);

    fn plan(gate: &GatedModel<'_>, node: &Record) -> Result<Plan<Self>, Vec<RuleError>> {
        let data = gate.any_dataset(node)?;
        let number =
            |schema: &PropertySchema, default: f64| number_property(node, schema.name).unwrap_or(default);
        let max_tokens = number(&MAX_TOKENS, 128.0) as usize;
        let metric = Self {
            on: data.name.clone(),
            min_tokens: number(&MIN_TOKENS, 1000.0) as u64,
            max_empty: number(&MAX_EMPTY, 0.0),
            max_loops: number(&MAX_LOOPS, 0.05),
            max_unused: number(&MAX_UNUSED, 0.0),
            max_repetition: number(&MAX_REPETITION, 0.1),
        };
        let models = [gate.quantized(), gate.unquantized()];
        let answers = |model| gate.measured([model], Answers { max_tokens, kind: data.kind }, &data);
        Ok(Plan { results: models.map(answers).to_vec(), metric, held_out: Some(data) })
    }

    fn judge(&self, results: &Results<'_>) -> Result<Vec<Check>, ActionError> {
        let (found, baseline): (AnswerFaults, AnswerFaults) = (results.found(0)?, results.found(1)?);
        let row = |name: &str, [found, baseline]: [&Fault; 2], schema: &PropertySchema, max: f64| {
            self.row(name, [found, baseline], max).with_limits([(schema.name, Some(max))])
        };
        Ok(vec![
            self.tokens(&found, &baseline),
            row("generation empty", [&found.empty, &baseline.empty], &MAX_EMPTY, self.max_empty),
            row("generation loops", [&found.loops, &baseline.loops], &MAX_LOOPS, self.max_loops),
            row("generation unused", [&found.unused, &baseline.unused], &MAX_UNUSED, self.max_unused),
            row(
                "generation repetition",
                [&found.repetition, &baseline.repetition],
                &MAX_REPETITION,
                self.max_repetition,
            ),
        ])
    }
}

impl Generation {
    fn tokens(&self, found: &AnswerFaults, baseline: &AnswerFaults) -> Check {
        let shown = |faults: &AnswerFaults| format!("{} in {}", faults.n_tokens, faults.n_answers);
        Check {
            name: "generation tokens".to_owned(),
            on: Some(self.on.clone()),
            baseline: Some(shown(baseline)),
            measured: shown(found),
            value: Some(found.n_tokens as f64),
            baseline_value: Some(baseline.n_tokens as f64),
            limit: format!("at least {}", self.min_tokens),
            passed: found.n_tokens as u64 >= self.min_tokens,
            ..Check::default()
        }
        .with_limits([(MIN_TOKENS.name, Some(self.min_tokens as f64))])
    }

    /// The verdict line of a fault, whose share may be above the baseline's by `max`.
    fn row(&self, name: &str, [found, baseline]: [&Fault; 2], max: f64) -> Check {
        let (share, of_baseline) = (found.share(), baseline.share());
        let (value, base) = (share.estimate().value, of_baseline.estimate().value);
        // Rounding must not decide.
        let passed = value <= base + max + 1e-9;
        let shown = |fault: &Fault| {
            format!("{} ({} of {})", percent(fault.share().estimate().value), fault.n_faulty, fault.n)
        };
        Check {
            name: name.to_owned(),
            on: Some(self.on.clone()),
            baseline: Some(shown(baseline)),
            measured: shown(found),
            value: Some(value),
            baseline_value: Some(base),
            interval: Some(Interval::new(share.interval(), percent)),
            baseline_interval: Some(Interval::new(of_baseline.interval(), percent)),
            limit: format!("at most +{} points", percent(max).trim_end_matches(" %")),
            passed,
            example: found.example.clone().filter(|_| !passed),
            ..Check::default()
        }
    }
}

/// Answers the prompts of a dataset.
struct Answers {
    max_tokens: usize,
    kind: DatasetKind,
}

impl Measure<1> for Answers {
    const KIND: ActionKind = ActionKind {
        name: "generation",
        version: mc_runtime::accuracy::VERSION + mc_family::chat::VERSION + answer_faults::VERSION,
    };

    type Found = AnswerFaults;

    fn parameters(&self) -> Vec<(String, String)> {
        vec![(MAX_TOKENS.name.to_owned(), self.max_tokens.to_string()), items_parameter(self.kind)]
    }

    fn of_parameters(parameters: &Parameters) -> Result<(&Parameters, Self), String> {
        let (before, kind) = items_of_parameters(parameters)?;
        let (before, max_tokens) = last(before, MAX_TOKENS.name)?;
        Ok((before, Self { max_tokens: number(MAX_TOKENS.name, max_tokens)?, kind }))
    }

    fn measure(
        &self,
        [model]: &[Opened; 1],
        data: &Data,
        ctx: &dyn ActionContext,
    ) -> Result<AnswerFaults, ActionError> {
        let items = prompt_items(model, self.kind, data, ctx)?;
        let question = |ids: &Vec<u32>| Question { prompt: ids.clone(), max_tokens: self.max_tokens };
        let questions: Vec<Question> = items.iter().map(|item| question(&item.ids)).collect();
        let is_cancelled = || ctx.is_cancelled();
        let report = model_work::report(ctx, ProgressUnit::Prompts);
        let cancellation = Cancellation::new(&is_cancelled).reporting(&report);
        let stop = &model.vocabulary.special.stop;
        let answers = answers(&model.model, &questions, stop, cancellation)
            .map_err(|error| measurement_error(&format!("Generation on `{}`", data.name), &error))?;
        let mut counter = FaultCounter::new(&model.vocabulary);
        for (item, answer) in items.iter().zip(&answers) {
            let text = model.tokenizer.decode(&answer.tokens).map_err(ActionError::failed)?;
            counter.add(&item.text, &answer.tokens, &text);
        }
        Ok(counter.finish())
    }
}

#[cfg(test)]
mod tests {
    use mc_ir::attribute::Value;

    use super::*;
    use crate::evaluate::metric::Row;
    use crate::evaluate::toy_gate::{label, toy_checks};

    #[test]
    fn a_file_that_answers_like_its_checkpoint_passes_if_there_are_enough_tokens() {
        let checks = |min_tokens: i64| {
            let properties = [
                (ON.name, Value::Label(label("held-out"))),
                (MAX_TOKENS.name, Value::Integer(8)),
                (MIN_TOKENS.name, Value::Integer(min_tokens)),
            ];
            toy_checks(&const { Row::of::<Generation>() }, 0, properties)
        };
        let enough = checks(4);
        assert_eq!(enough.len(), 5);
        assert!(enough.iter().all(|check| check.passed && check.example.is_none()), "{enough:?}");
        let few = checks(1000);
        assert!(!few[0].passed && few[0].limit == "at least 1000", "{:?}", few[0]);
        assert!(few[1..].iter().all(|check| check.passed));
    }

    fn fault(n_faulty: usize, n: usize) -> Fault {
        Fault { n_faulty, n, example: Some("item 2, \"Where?\": \"there there\"".to_owned()) }
    }

    #[test]
    fn a_share_may_be_above_the_baseline_by_its_limit_and_a_miss_shows_the_worst_answer() {
        let metric = Generation {
            on: "questions".to_owned(),
            min_tokens: 0,
            max_empty: 0.0,
            max_loops: 0.05,
            max_unused: 0.0,
            max_repetition: 0.1,
        };
        let row = |n_faulty| metric.row("generation loops", [&fault(n_faulty, 40), &fault(3, 40)], 0.05);
        let within = row(5);
        assert!(within.passed && within.example.is_none());
        let miss = row(6);
        assert_eq!((miss.passed, miss.measured.as_str()), (false, "15 % (6 of 40)"));
        assert_eq!(miss.limit, "at most +5 points");
        assert_eq!(miss.example.as_deref(), Some("item 2, \"Where?\": \"there there\""));
        assert!(metric.row("generation empty", [&fault(0, 0), &fault(0, 0)], 0.0).passed);
    }
}
