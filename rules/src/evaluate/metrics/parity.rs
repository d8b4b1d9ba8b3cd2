//! Parity of the files that ship with the unquantized model: predictions and greedy answers on the prompts of a dataset.
//!
//! The files are decoded by our own reader and run on our graph, so a difference is one of the bytes in them: the
//! quantization, or an error in writing. `runtime-parity` checks the format's own runtime.

use mc_digest::content_hash::ContentHash;
use mc_ir::action::{ActionContext, ActionError, ActionKind};
use mc_ir::attribute::Record;
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Arguments, ChildSchema, NodeSchema, Occurs, Presence, PropertySchema, ValueKind};
use mc_ir::work::ProgressUnit;
use mc_runtime::cancellation::Cancellation;
use mc_runtime::parity::{Parity as Compared, parity};
use serde::{Deserialize, Serialize};

use crate::action::remote_kind::{Parameters, RemoteKind, last, number};
use crate::attributes::number_property;
use crate::evaluate::gated_model::{GatedModel, ON};
use crate::evaluate::measure::{Data, Measure, MeasureAction};
use crate::evaluate::metric::{Metric, Plan, Results};
use crate::evaluate::number::{Bound, Number, nats, nats_limit};
use crate::evaluate::prompt_items::{items_of_parameters, items_parameter, prompt_items};
use crate::evaluate::verdict::Check;
use crate::inference::model_work;
use crate::inference::opened::{Opened, measurement_error};
use crate::source::dataset::DatasetKind;

const MAX_KL: PropertySchema = PropertySchema {
    name: "max-kl",
    value: ValueKind::Number,
    presence: Presence::Optional,
    doc: "Maximum mean divergence, in nats.",
};
const MIN_TOP_1: PropertySchema = PropertySchema {
    name: "min-top-1",
    value: ValueKind::Fraction,
    presence: Presence::Optional,
    doc: "Minimum share of positions at which both models rank the same token first.",
};
const MIN_GREEDY: PropertySchema = PropertySchema {
    name: "min-greedy",
    value: ValueKind::Fraction,
    presence: Presence::Optional,
    doc: "Minimum share of the baseline's greedy tokens that the model generates at the same place.",
};
const MAX_TOKENS: PropertySchema = PropertySchema {
    name: "max-tokens",
    value: ValueKind::Integer,
    presence: Presence::Default("32"),
    doc: "Maximum number of tokens in an answer.",
};

static NODE: NodeSchema = NodeSchema {
    name: "parity",
    doc: "Predictions and greedy answers of the files that ship, against the unquantized model.",
    arguments: Arguments::None,
    properties: &[ON, MAX_KL, MIN_TOP_1, MIN_GREEDY, MAX_TOKENS],
    children: &[],
};

/// The limits, each of which is optional.
#[derive(ContentHash, Debug)]
#[content("parity")]
pub(crate) struct Parity {
    #[content("on")]
    on: String,
    #[content("max-kl")]
    max_kl: Option<f64>,
    #[content("min-top-1")]
    min_top_1: Option<f64>,
    #[content("min-greedy")]
    min_greedy: Option<f64>,
}

impl Metric for Parity {
    const SCHEMA: ChildSchema = ChildSchema { node: &NODE, occurs: Occurs::Any };
    const REMOTE: Option<RemoteKind> = Some(MeasureAction::<Prompts, 2>::REMOTE);

    fn plan(gate: &GatedModel<'_>, node: &Record) -> Result<Plan<Self>, Vec<RuleError>> {
        let data = gate.any_dataset(node)?;
        check_limits(node)?;
        let max_tokens = number_property(node, MAX_TOKENS.name).unwrap_or(32.0) as usize;
        let limit = |schema: &PropertySchema| number_property(node, schema.name);
        let metric = Self {
            on: data.name.clone(),
            max_kl: limit(&MAX_KL),
            min_top_1: limit(&MIN_TOP_1),
            min_greedy: limit(&MIN_GREEDY),
        };
        let models = [gate.quantized(), gate.unquantized()];
        let results = vec![gate.measured(models, Prompts { max_tokens, kind: data.kind }, &data)];
        Ok(Plan { metric, results, held_out: Some(data) })
    }

    fn judge(&self, results: &Results<'_>) -> Result<Vec<Check>, ActionError> {
        let found: Found = results.found(0)?;
        let row = |name: &str, number: Number, limit: Bound| number.check(name, &self.on, limit);
        Ok(vec![
            row("parity kl", found.kl, Bound::at_most(self.max_kl, nats_limit))
                .with_limits([(MAX_KL.name, self.max_kl)]),
            row("parity top-1", found.top_1, Bound::at_least(self.min_top_1))
                .with_limits([(MIN_TOP_1.name, self.min_top_1)]),
            row("parity greedy", found.greedy, Bound::at_least(self.min_greedy))
                .with_limits([(MIN_GREEDY.name, self.min_greedy)]),
        ])
    }
}

/// Refuses a node without a limit, or with a negative one.
fn check_limits(node: &Record) -> Result<(), Vec<RuleError>> {
    if [MAX_KL, MIN_TOP_1, MIN_GREEDY].iter().all(|limit| node.property(limit.name).is_none()) {
        let rule_error = RuleError::new(node.place, "gate::limit", "`parity` has no limit");
        return Err(vec![rule_error.help("Add a limit, such as `max-kl=0.02` or `min-top-1=\"95%\"`")]);
    }
    match node.property(MAX_KL.name) {
        Some(max) if max.value.as_number().is_some_and(|max| max < 0.0) => {
            let message = format!("`{}` is negative; a divergence is at least 0", MAX_KL.name);
            let rule_error = RuleError::new(max.place, "gate::limit", message);
            Err(vec![rule_error.help("Write a number from 0 up, in nats")])
        }
        _ => Ok(()),
    }
}

/// The numbers, in the form that the action writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Found {
    kl: Number,
    top_1: Number,
    greedy: Number,
}

impl From<Compared> for Found {
    fn from(found: Compared) -> Self {
        Self {
            kl: Number::mean(found.mean, nats),
            top_1: Number::share(found.top_1),
            greedy: Number::share(found.greedy),
        }
    }
}

/// Compares both models on the prompts of a dataset.
struct Prompts {
    max_tokens: usize,
    kind: DatasetKind,
}

impl Measure<2> for Prompts {
    const KIND: ActionKind =
        ActionKind { name: "parity", version: mc_runtime::parity::VERSION + mc_family::chat::VERSION };

    type Found = Found;

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
        [model, baseline]: &[Opened; 2],
        data: &Data,
        ctx: &dyn ActionContext,
    ) -> Result<Found, ActionError> {
        let prompts = prompt_items(baseline, self.kind, data, ctx)?;
        let prompts: Vec<Vec<u32>> = prompts.into_iter().map(|prompt| prompt.ids).collect();
        let is_cancelled = || ctx.is_cancelled();
        let report = model_work::report(ctx, ProgressUnit::Prompts);
        let cancellation = Cancellation::new(&is_cancelled).reporting(&report);
        let stop = &baseline.vocabulary.special.stop;
        let found = parity(&model.model, &baseline.model, &prompts, stop, self.max_tokens, cancellation)
            .map_err(|error| measurement_error(&format!("Parity on `{}`", data.name), &error))?;
        Ok(found.into())
    }
}

#[cfg(test)]
mod tests {
    use mc_ir::attribute::{Number as Decimal, Value};

    use super::*;
    use crate::evaluate::metric::Row;
    use crate::evaluate::toy_gate::{label, toy_checks};

    /// Returns the verdict lines for a toy whose file has the numbers of a seed; its checkpoint has those of seed 0.
    fn checks(seed: u32) -> Vec<Check> {
        let properties = [
            (ON.name, Value::Label(label("held-out"))),
            (MAX_KL.name, Value::Number(Decimal(0.0))),
            (MAX_TOKENS.name, Value::Integer(6)),
        ];
        toy_checks(&const { Row::of::<Parity>() }, seed, properties)
    }

    #[test]
    fn a_file_with_the_weights_of_its_checkpoint_is_on_par_and_another_is_not() {
        let values = |checks: &[Check]| checks.iter().map(|check| check.value).collect::<Vec<_>>();
        let same = checks(0);
        assert_eq!(values(&same), [0.0, 1.0, 1.0].map(Some));
        assert!(same.iter().all(|check| check.passed && check.interval.is_some()));
        let other = checks(7);
        assert!(!other[0].passed && other[0].value > Some(0.0), "{:?}", other[0]);
        assert!(other[2].value < Some(1.0), "{:?}", other[2]);
        assert!(other[1..].iter().all(|check| check.passed), "a number without a limit passes");
    }
}
