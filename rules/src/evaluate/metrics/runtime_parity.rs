//! Parity of the format's own runtime with our reading of the files: both must compute the same predictions.
//!
//! The runtime is a Python package that the user may have installed ([`crate::evaluate::runtime::tools`]). Without it,
//! the check is reported as not run: it is neither passed nor failed, unless the gate requires it.

use std::time::Duration;

use mc_digest::content_hash::ContentHash;
use mc_ir::action::ActionError;
use mc_ir::attribute::Record;
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Arguments, ChildSchema, NodeSchema, Occurs, Presence, PropertySchema, ValueKind};

use crate::attributes::{bool_property, number_property, text_property};
use crate::evaluate::gated_model::{GatedModel, ON};
use crate::evaluate::metric::{Metric, Plan, Results};
use crate::evaluate::number::{Bound, Number, nats_limit};
use crate::evaluate::runtime::run_action::{FOUND, Found, RunAction};
use crate::evaluate::runtime::tools;
use crate::evaluate::verdict::Check;

const MIN_TOP_1: PropertySchema = PropertySchema {
    name: "min-top-1",
    value: ValueKind::Fraction,
    presence: Presence::Default("95%"),
    doc: "Minimum share of the runtime's greedy tokens that our graph ranks first after the same tokens.",
};
const MIN_GREEDY: PropertySchema = PropertySchema {
    name: "min-greedy",
    value: ValueKind::Fraction,
    presence: Presence::Optional,
    doc: "Minimum share of the runtime's greedy tokens before the first other one of each answer.",
};
const MAX_DIFFERENCE: PropertySchema = PropertySchema {
    name: "max-difference",
    value: ValueKind::Number,
    presence: Presence::Optional,
    doc: "Maximum mean difference of the logarithm of a token's probability.",
};
const MAX_TOKENS: PropertySchema = PropertySchema {
    name: "max-tokens",
    value: ValueKind::Integer,
    presence: Presence::Default("32"),
    doc: "Maximum number of tokens in an answer.",
};
const VERSION: PropertySchema = PropertySchema {
    name: "version",
    value: ValueKind::Text,
    presence: Presence::Optional,
    doc: "Version of the runtime's package; by default the one with which `mc` was tested.",
};
const TIME_LIMIT: PropertySchema = PropertySchema {
    name: "time-limit",
    value: ValueKind::Integer,
    presence: Presence::Default("600"),
    doc: "Seconds without an answer after which the runtime is stopped.",
};
const REQUIRED: PropertySchema = PropertySchema {
    name: "required",
    value: ValueKind::Bool,
    presence: Presence::Optional,
    doc: "True if the gate fails when the runtime is not installed.",
};

static NODE: NodeSchema = NodeSchema {
    name: "runtime-parity",
    doc: "Greedy answers of the format's own runtime, where it is installed, against our reading of the files.",
    arguments: Arguments::None,
    properties: &[ON, MIN_TOP_1, MIN_GREEDY, MAX_DIFFERENCE, MAX_TOKENS, VERSION, TIME_LIMIT, REQUIRED],
    children: &[],
};

/// The limits, and the reason why the runtime does not run.
#[derive(ContentHash, Debug)]
#[content("runtime-parity")]
pub(crate) struct RuntimeParity {
    #[content("on")]
    on: String,
    #[content("min-top-1")]
    min_top_1: f64,
    #[content("min-greedy")]
    min_greedy: Option<f64>,
    #[content("max-difference")]
    max_difference: Option<f64>,
    #[content("not-run")]
    not_run: Option<String>,
    #[content("required")]
    required: bool,
}

impl Metric for RuntimeParity {
    const SCHEMA: ChildSchema = ChildSchema { node: &NODE, occurs: Occurs::Any };

    fn plan(gate: &GatedModel<'_>, node: &Record) -> Result<Plan<Self>, Vec<RuleError>> {
        let data = gate.any_dataset(node)?;
        let installed = tools::installed(gate.export.format, text_property(node, VERSION.name));
        let number = |schema: &PropertySchema| number_property(node, schema.name);
        let metric = Self {
            on: data.name.clone(),
            min_top_1: number(&MIN_TOP_1).unwrap_or(0.95),
            min_greedy: number(&MIN_GREEDY),
            max_difference: number(&MAX_DIFFERENCE),
            not_run: installed.as_ref().err().cloned(),
            required: bool_property(node, REQUIRED.name),
        };
        let results = installed.ok().map(|installed| {
            let max_tokens = number(&MAX_TOKENS).unwrap_or(32.0) as usize;
            let silence = Duration::from_secs(number(&TIME_LIMIT).unwrap_or(600.0) as u64);
            let (action, inputs) = RunAction::new(gate.quantized(), installed, &data, max_tokens, silence);
            gate.step(action, inputs).artifact(FOUND)
        });
        // Calibration text is allowed: no quality is measured, so the text cannot inflate a result.
        Ok(Plan { metric, results: results.into_iter().collect(), held_out: None })
    }

    fn judge(&self, results: &Results<'_>) -> Result<Vec<Check>, ActionError> {
        if let Some(reason) = &self.not_run {
            return Ok(vec![Check::not_run(NODE.name, &self.on, reason.clone(), self.required)]);
        }
        let found: Found = results.found(0)?;
        let row = |name: &str, number: Number, limit: Bound| Check {
            tool: Some(found.versions.clone()),
            ..number.check(name, &self.on, limit)
        };
        Ok(vec![
            row("runtime-parity top-1", found.top_1.clone(), Bound::at_least(Some(self.min_top_1)))
                .with_limits([(MIN_TOP_1.name, Some(self.min_top_1))]),
            row("runtime-parity greedy", found.greedy.clone(), Bound::at_least(self.min_greedy))
                .with_limits([(MIN_GREEDY.name, self.min_greedy)]),
            row(
                "runtime-parity difference",
                found.difference.clone(),
                Bound::at_most(self.max_difference, nats_limit),
            )
            .with_limits([(MAX_DIFFERENCE.name, self.max_difference)]),
        ])
    }
}
