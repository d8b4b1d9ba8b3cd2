//! `gate`: what must hold before a model is published.
//!
//! Each check is measured by an action of its own, on the quantized model and on the unquantized one from the same
//! data; the verdict joins them. A verdict that fails is a result like any other and is cached: it is the bundle, and
//! the command line, that refuse to go on.

use mc_ir::action::{
    Action, ActionContext, ActionError, ActionKind, Artifact, Input, OutputReader, write_bytes,
};
use mc_ir::attribute::{Placed, Record};
use mc_ir::fault::Fault;
use mc_ir::label::Label;
use mc_ir::output::{Output, Outputs};
use mc_ir::provider::Providers;
use mc_ir::rule::{Rule, RuleContext};
use mc_ir::schema::{Arguments, ChildSchema, NodeSchema, Occurs, Presence, PropertySchema, ValueKind};

use crate::action::exec_property::EXEC_PROPERTY;
use crate::action::tags::TAGS;
use crate::action::target_step::target_step;
use crate::attributes::{label, label_property, number_property, provider};
use crate::evaluate::leak;
use crate::evaluate::measurement::{compared, measurement};
use crate::evaluate::metrics::{accuracy, perplexity, tokenizer_fidelity};
use crate::evaluate::verdict::{Check, Verdict, megabytes, percent};
use crate::export::gguf::GgufInfo;
use crate::source::dataset::{DatasetInfo, DatasetKind};
use crate::source::model_info::ModelInfo;

/// The rule's name.
pub const NAME: &str = "gate";

/// The `gate` rule.
pub struct Gate;

/// What a gate tells a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateInfo {
    /// The verdict as JSON.
    pub verdict: Artifact,
}

/// Which dataset a check is measured on.
pub(crate) const ON: PropertySchema = PropertySchema {
    name: "on",
    value: ValueKind::Label,
    presence: Presence::Required,
    doc: "The dataset that is measured on.",
};

static PERPLEXITY: NodeSchema = NodeSchema {
    name: "perplexity",
    doc: "Perplexity on held-out text, against the unquantized model.",
    arguments: Arguments::None,
    properties: &[
        ON,
        PropertySchema {
            name: "max-increase",
            value: ValueKind::Fraction,
            presence: Presence::Default("2%"),
            doc: "How much higher than the baseline it may be, relative to it.",
        },
        PropertySchema {
            name: "context",
            value: ValueKind::Integer,
            presence: Presence::Optional,
            doc: "Tokens per chunk; 512, or the model's context when that is shorter.",
        },
    ],
    children: &[],
};

static ACCURACY: NodeSchema = NodeSchema {
    name: "accuracy",
    doc: "Share of questions answered exactly, greedily, with the chat template.",
    arguments: Arguments::None,
    properties: &[
        ON,
        PropertySchema {
            name: "min",
            value: ValueKind::Fraction,
            presence: Presence::Optional,
            doc: "The least share of right answers.",
        },
        PropertySchema {
            name: "max-decrease",
            value: ValueKind::Fraction,
            presence: Presence::Default("2%"),
            doc: "How much lower than the baseline it may be, relative to it.",
        },
        PropertySchema {
            name: "max-tokens",
            value: ValueKind::Integer,
            presence: Presence::Default("32"),
            doc: "Tokens after which an answer is cut off.",
        },
    ],
    children: &[],
};

static SIZE: NodeSchema = NodeSchema {
    name: "size",
    doc: "Bytes of the GGUF file.",
    arguments: Arguments::None,
    properties: &[PropertySchema {
        name: "max",
        value: ValueKind::Bytes,
        presence: Presence::Required,
        doc: "The most that it may have.",
    }],
    children: &[],
};

/// The checks, for this rule and for `model`.
pub(crate) static CHECKS: &[ChildSchema] = &[
    ChildSchema { node: &PERPLEXITY, occurs: Occurs::Any },
    ChildSchema { node: &ACCURACY, occurs: Occurs::Any },
    ChildSchema { node: &tokenizer_fidelity::SCHEMA, occurs: Occurs::Any },
    ChildSchema { node: &SIZE, occurs: Occurs::Optional },
];

static GGUF: NodeSchema = NodeSchema {
    name: "gguf",
    doc: "The model to measure: a `gguf` target.",
    arguments: Arguments::One(ValueKind::Label),
    properties: &[],
    children: &[],
};

static SCHEMA: NodeSchema = NodeSchema {
    name: NAME,
    doc: "What must hold before a model is published.",
    arguments: Arguments::None,
    properties: &[],
    children: &[
        ChildSchema { node: &GGUF, occurs: Occurs::Once },
        ChildSchema { node: &PERPLEXITY, occurs: Occurs::Any },
        ChildSchema { node: &ACCURACY, occurs: Occurs::Any },
        ChildSchema { node: &tokenizer_fidelity::SCHEMA, occurs: Occurs::Any },
        ChildSchema { node: &SIZE, occurs: Occurs::Optional },
        ChildSchema { node: &EXEC_PROPERTY, occurs: Occurs::Any },
        ChildSchema { node: &TAGS, occurs: Occurs::Optional },
    ],
};

impl Rule for Gate {
    fn schema(&self) -> &'static NodeSchema {
        &SCHEMA
    }

    fn analyze(&self, ctx: &dyn RuleContext) -> Result<Providers, Vec<Fault>> {
        let record = ctx.record();
        let gguf_label = label(record, "gguf").ok_or_else(Vec::new)?;
        let gguf: GgufInfo = provider(ctx, &gguf_label, "a `gguf` target")?;
        let mut plan = Plan {
            ctx,
            gguf: &gguf,
            limits: Vec::new(),
            inputs: Vec::new(),
            leaks: Vec::new(),
            faults: Vec::new(),
        };
        for check in record.children("perplexity") {
            plan.perplexity(check);
        }
        for check in record.children("accuracy") {
            plan.accuracy(check);
        }
        for check in record.children(tokenizer_fidelity::NAME) {
            plan.tokenizer_fidelity(check);
        }
        for check in record.children("size") {
            plan.size(check);
        }
        if plan.limits.is_empty() && plan.faults.is_empty() {
            plan.faults.push(
                Fault::new(record.place, "gate::empty", "The gate checks nothing")
                    .help("Add `perplexity on=…`, `accuracy on=…` or `size max=…`"),
            );
        }
        if !plan.faults.is_empty() {
            return Err(plan.faults);
        }
        let action = Judge { limits: plan.limits };
        let inputs = plan.inputs.into_iter().chain(plan.leaks).collect();
        let node = target_step(ctx.label(), record, action, inputs);
        let verdict = node.artifact("verdict.json");
        let mut providers = Providers::default().with(GateInfo { verdict: verdict.clone() });
        providers.outputs.push(("verdict.json".to_owned(), verdict.clone()));
        providers.gates.push(verdict);
        Ok(providers)
    }
}

/// One check and what it allows.
#[derive(Clone, Debug)]
enum Limit {
    Perplexity { on: String, max_increase: f64 },
    Accuracy { on: String, min: Option<f64>, max_decrease: f64 },
    TokenizerFidelity { on: String },
    Size { max: u64 },
}

/// Collects the checks of a gate.
struct Plan<'a> {
    ctx: &'a dyn RuleContext,
    gguf: &'a GgufInfo,
    limits: Vec<Limit>,
    inputs: Vec<Input>,
    leaks: Vec<Input>,
    faults: Vec<Fault>,
}

impl Plan<'_> {
    fn perplexity(&mut self, check: &Record) {
        let Some((_, data)) = self.dataset(check, DatasetKind::Text) else {
            return;
        };
        let context = number_property(check, "context").map(|context| context as usize);
        self.forbid_leak(&data);
        let owner = self.ctx.label();
        match perplexity::actions(owner, self.ctx.record(), self.gguf, &data, context) {
            Ok([measured, baseline]) => {
                self.inputs.extend([Input::Artifact(measured), Input::Artifact(baseline)]);
                let max_increase = number_property(check, "max-increase").unwrap_or(0.02);
                self.limits.push(Limit::Perplexity { on: data.name, max_increase });
            }
            Err(message) => {
                let place = check.property("context").map_or(check.place, |context| context.place);
                self.faults.push(Fault::new(place, "gate::context", message));
            }
        }
    }

    fn accuracy(&mut self, check: &Record) {
        let Some((_, data)) = self.dataset(check, DatasetKind::Json) else {
            return;
        };
        let max_tokens = number_property(check, "max-tokens").unwrap_or(32.0) as usize;
        self.forbid_leak(&data);
        let [measured, baseline] =
            accuracy::actions(self.ctx.label(), self.ctx.record(), self.gguf, &data, max_tokens);
        self.inputs.extend([Input::Artifact(measured), Input::Artifact(baseline)]);
        self.limits.push(Limit::Accuracy {
            on: data.name,
            min: number_property(check, "min"),
            max_decrease: number_property(check, "max-decrease").unwrap_or(0.02),
        });
    }

    // Calibration text may be compared as well: nothing is measured that could be learnt from it.
    fn tokenizer_fidelity(&mut self, check: &Record) {
        let model = match label_property(check, tokenizer_fidelity::AGAINST) {
            None => self.gguf.model.clone(),
            Some(named) => match provider::<ModelInfo>(self.ctx, &named, "a `checkpoint`") {
                Ok(model) => model,
                Err(faults) => return self.faults.extend(faults),
            },
        };
        if model.files.tokenizer.is_none() && model.files.tokenizer_model.is_none() {
            let message = "The model was read from a GGUF, which brings no other tokenizer to compare with";
            self.faults
                .push(Fault::new(check.place, "gate::tokenizer", message).help(
                    "Write `against=\":checkpoint\"`, a folder with the tokenizer that it should have",
                ));
            return;
        }
        let Some((_, data)) = self.dataset(check, DatasetKind::Text) else {
            return;
        };
        self.inputs.push(Input::Artifact(tokenizer_fidelity::action(
            self.ctx.label(),
            self.ctx.record(),
            self.gguf,
            &model,
            &data,
        )));
        self.limits.push(Limit::TokenizerFidelity { on: data.name });
    }

    fn size(&mut self, check: &Record) {
        let max = check.property("max").and_then(|max| max.value.as_bytes()).unwrap_or(u64::MAX);
        self.inputs.push(Input::Artifact(self.gguf.gguf.clone()));
        self.limits.push(Limit::Size { max });
    }

    fn dataset(&mut self, check: &Record, kind: DatasetKind) -> Option<(Placed<Label>, DatasetInfo)> {
        let on = label_property(check, "on")?;
        match provider::<DatasetInfo>(self.ctx, &on, "a `dataset`") {
            Ok(data) if data.kind == kind => Some((on, data)),
            Ok(_) => {
                let expected = match kind {
                    DatasetKind::Text => "text (`.txt` or `.md`)",
                    DatasetKind::Json => "questions (`.jsonl`, each with `utterance` and `answer`)",
                };
                let message = format!("`{}` does not hold {expected}", on.value);
                self.faults.push(Fault::new(on.place, "gate::dataset", message));
                None
            }
            Err(faults) => {
                self.faults.extend(faults);
                None
            }
        }
    }

    /// A model must not be measured on what it was calibrated on.
    fn forbid_leak(&mut self, data: &DatasetInfo) {
        if let Some(calibration) = &self.gguf.calibration {
            let (owner, record) = (self.ctx.label(), self.ctx.record());
            self.leaks.push(Input::Artifact(leak::action(owner, record, calibration, data)));
        }
    }
}

/// Compares measurements with limits.
///
/// The inputs are the measurements in the order of the limits, then the leak checks, which are there to be done and
/// not to be read.
struct Judge {
    limits: Vec<Limit>,
}

impl Action for Judge {
    fn kind(&self) -> ActionKind {
        ActionKind { name: "verdict", version: 2 }
    }

    fn parameters(&self) -> Vec<(String, String)> {
        self.limits.iter().map(|limit| ("limit".to_owned(), format!("{limit:?}"))).collect()
    }

    fn outputs(&self) -> Vec<String> {
        vec!["verdict.json".to_owned()]
    }

    fn reader(&self, _: &str) -> Option<OutputReader> {
        Some(|bytes| Verdict::from_json(bytes).map(drop).map_err(|error| error.to_string()))
    }

    fn describe(&self) -> String {
        format!("{} checks", self.limits.len())
    }

    fn run(&self, ctx: &dyn ActionContext) -> Result<Outputs, ActionError> {
        let mut next = 0;
        let mut checks = Vec::new();
        for limit in &self.limits {
            checks.push(limit.check(ctx, next)?);
            next += limit.n_inputs();
        }
        let blob = write_bytes(ctx, Verdict::new(checks).to_json().as_bytes())?;
        Ok(Outputs::from([("verdict.json".to_owned(), Output::File(blob))]))
    }
}

impl Limit {
    fn n_inputs(&self) -> usize {
        match self {
            Self::Perplexity { .. } | Self::Accuracy { .. } => 2,
            Self::TokenizerFidelity { .. } | Self::Size { .. } => 1,
        }
    }

    /// Compares the inputs from `first` on with the limit.
    fn check(&self, ctx: &dyn ActionContext, first: usize) -> Result<Check, ActionError> {
        Ok(match self {
            Self::Perplexity { on, max_increase } => {
                let (measured, baseline) = (measurement(ctx, first)?, measurement(ctx, first + 1)?);
                let limit = format!("at most +{}", percent(*max_increase));
                let passed = measured.value <= baseline.value * (1.0 + max_increase);
                compared("perplexity", on, &measured, &baseline, limit, passed)
            }
            Self::Accuracy { on, min, max_decrease } => {
                let (measured, baseline) = (measurement(ctx, first)?, measurement(ctx, first + 1)?);
                let mut limit = format!("at most -{}", percent(*max_decrease));
                let mut passed = measured.value >= baseline.value * (1.0 - max_decrease);
                if let Some(min) = min {
                    limit = format!("at least {}, {limit}", percent(*min));
                    passed &= measured.value >= *min;
                }
                compared("accuracy", on, &measured, &baseline, limit, passed)
            }
            Self::TokenizerFidelity { on } => {
                tokenizer_fidelity::check(&ctx.input(first)?.to_contiguous(), on)?
            }
            Self::Size { max } => {
                let n_bytes = ctx.input_digest(first).n_bytes();
                Check {
                    name: "size".to_owned(),
                    on: None,
                    baseline: None,
                    measured: megabytes(n_bytes),
                    value: n_bytes as f64,
                    baseline_value: None,
                    delta: None,
                    limit: format!("at most {}", megabytes(*max)),
                    passed: n_bytes <= *max,
                }
            }
        })
    }
}
