//! Accuracy: the share of questions that a model answers exactly.
//!
//! Each question goes through the model's chat template as one user message; the answer is decoded greedily
//! and compared as text without leading and trailing spaces.

use mc_digest::content_hash::ContentHash;
use mc_ir::action::{ActionContext, ActionError, ActionKind};
use mc_ir::attribute::Record;
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Arguments, ChildSchema, NodeSchema, Occurs, Presence, PropertySchema, ValueKind};
use mc_ir::work::ProgressUnit;
use mc_runtime::accuracy::{Question, answers};
use mc_runtime::cancellation::Cancellation;
use mc_runtime::estimate::Share;
use serde::Deserialize;

use crate::action::remote_kind::{Parameters, RemoteKind, last, number};
use crate::attributes::number_property;
use crate::evaluate::gated_model::{GatedModel, ON};
use crate::evaluate::interval::Interval;
use crate::evaluate::measure::{Data, Measure, MeasureAction};
use crate::evaluate::measurement::{self, Measurement};
use crate::evaluate::metric::{Metric, Plan, Results};
use crate::evaluate::verdict::{Check, percent};
use crate::inference::model_work;
use crate::inference::opened::{Opened, measurement_error};
use crate::inference::prompts::Prompts;
use crate::source::dataset::{DatasetKind, reason};

static NODE: NodeSchema = NodeSchema {
    name: "accuracy",
    doc: "Share of questions answered exactly, greedily, with the chat template.",
    arguments: Arguments::None,
    properties: &[
        ON,
        PropertySchema {
            name: "min",
            value: ValueKind::Fraction,
            presence: Presence::Optional,
            doc: "Minimum share of correct answers.",
        },
        PropertySchema {
            name: "max-decrease",
            value: ValueKind::Fraction,
            presence: Presence::Default("2%"),
            doc: "Maximum drop below the baseline, relative to it.",
        },
        PropertySchema {
            name: MAX_TOKENS,
            value: ValueKind::Integer,
            presence: Presence::Default("32"),
            doc: "Maximum number of tokens in an answer.",
        },
    ],
    children: &[],
};

/// The name of the property and of the action's parameter.
const MAX_TOKENS: &str = "max-tokens";

/// Minimum accuracy, as a share and relative to the baseline.
#[derive(ContentHash, Debug)]
#[content("accuracy")]
pub(crate) struct Accuracy {
    #[content("on")]
    on: String,
    #[content("min")]
    min: Option<f64>,
    #[content("max-decrease")]
    max_decrease: f64,
}

impl Metric for Accuracy {
    const SCHEMA: ChildSchema = ChildSchema { node: &NODE, occurs: Occurs::Any };
    const REMOTE: Option<RemoteKind> = Some(MeasureAction::<Answers, 1>::REMOTE);

    fn plan(gate: &GatedModel<'_>, node: &Record) -> Result<Plan<Self>, Vec<RuleError>> {
        let data = gate.dataset(node, DatasetKind::Json)?;
        let max_tokens = number_property(node, MAX_TOKENS).unwrap_or(32.0) as usize;
        let models = [gate.quantized(), gate.unquantized()];
        Ok(Plan {
            results: models.map(|model| gate.measured([model], Answers { max_tokens }, &data)).to_vec(),
            metric: Self {
                on: data.name.clone(),
                min: number_property(node, "min"),
                max_decrease: number_property(node, "max-decrease").unwrap_or(0.02),
            },
            held_out: Some(data),
        })
    }

    fn judge(&self, results: &Results<'_>) -> Result<Vec<Check>, ActionError> {
        let (measured, baseline) = (results.measurement(0)?, results.measurement(1)?);
        let mut limit = format!("at most -{}", percent(self.max_decrease));
        let mut passed = measured.value >= baseline.value * (1.0 - self.max_decrease);
        if let Some(min) = self.min {
            limit = format!("at least {}, {limit}", percent(min));
            passed &= measured.value >= min;
        }
        let check = measured.against(&baseline, NODE.name, &self.on, limit, passed);
        Ok(vec![check.with_limits([("min", self.min), ("max-decrease", Some(self.max_decrease))])])
    }
}

/// Measures the share of correct answers with a maximum number of tokens per answer.
struct Answers {
    max_tokens: usize,
}

impl Measure<1> for Answers {
    const KIND: ActionKind = ActionKind {
        name: "accuracy",
        version: mc_runtime::accuracy::VERSION + mc_family::chat::VERSION + measurement::VERSION,
    };

    type Found = Measurement;

    fn parameters(&self) -> Vec<(String, String)> {
        vec![(MAX_TOKENS.to_owned(), self.max_tokens.to_string())]
    }

    fn of_parameters(parameters: &Parameters) -> Result<(&Parameters, Self), String> {
        let (before, max_tokens) = last(parameters, MAX_TOKENS)?;
        Ok((before, Self { max_tokens: number(MAX_TOKENS, max_tokens)? }))
    }

    fn measure(
        &self,
        [model]: &[Opened; 1],
        data: &Data,
        ctx: &dyn ActionContext,
    ) -> Result<Measurement, ActionError> {
        let items = items(data)?;
        let prompts = Prompts::new(model)?;
        let questions = items.iter().map(|item| {
            ctx.go_on()?;
            Ok(Question { prompt: prompts.ids(&item.utterance)?, max_tokens: self.max_tokens })
        });
        let questions: Vec<Question> = questions.collect::<Result<_, ActionError>>()?;
        let is_cancelled = || ctx.is_cancelled();
        let report = model_work::report(ctx, ProgressUnit::Prompts);
        let cancellation = Cancellation::new(&is_cancelled).reporting(&report);
        let stop = &model.vocabulary.special.stop;
        let found = answers(&model.model, &questions, stop, cancellation)
            .map_err(|error| measurement_error(&format!("Accuracy on `{}`", data.name), &error))?;
        let mut n_right = 0;
        for (item, answer) in items.iter().zip(&found) {
            let text = model.tokenizer.decode(&answer.tokens).map_err(ActionError::failed)?;
            n_right += usize::from(text.trim() == item.answer.trim());
        }
        let value = n_right as f64 / items.len() as f64;
        let shown = format!("{} ({n_right} of {})", percent(value), items.len());
        let interval = Interval::new(Share { n_counted: n_right, n: items.len() }.interval(), percent);
        Ok(Measurement { value, shown, interval })
    }
}

/// One line of the dataset; other keys are ignored.
#[derive(Deserialize)]
struct Item {
    utterance: String,
    answer: String,
}

fn items(data: &Data) -> Result<Vec<Item>, ActionError> {
    let item = |(index, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| {
            let place = format!("Item {} of dataset `{}`", index + 1, data.name);
            ActionError::failed(format!("{place}: {}", reason(&error)))
                .with_help("Each line is an object with the texts `utterance` and `answer`")
        })
    };
    data.items.lines().enumerate().map(item).collect()
}
