//! Perplexity of a model on held-out text.
//!
//! Source: `perplexity` of llama.cpp: chunks of one context; the second half of each chunk is scored.

use mc_digest::content_hash::ContentHash;
use mc_ir::action::{ActionContext, ActionError, ActionKind};
use mc_ir::attribute::Record;
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Arguments, ChildSchema, NodeSchema, Occurs, Presence, PropertySchema, ValueKind};
use mc_ir::work::ProgressUnit;
use mc_runtime::cancellation::Cancellation;
use mc_runtime::chunks::ChunkOptions;

use crate::action::remote_kind::{Parameters, RemoteKind};
use crate::attributes::number_property;
use crate::evaluate::chunk_context::{CONTEXT, chunk_context, context_of_parameters};
use crate::evaluate::gated_model::{GatedModel, ON};
use crate::evaluate::interval::Interval;
use crate::evaluate::measure::{Data, Measure, MeasureAction};
use crate::evaluate::measurement::{self, Measurement};
use crate::evaluate::metric::{Metric, Plan, Results};
use crate::evaluate::verdict::{Check, percent};
use crate::inference::model_work;
use crate::inference::opened::{Opened, measurement_error};
use crate::source::dataset::DatasetKind;

static NODE: NodeSchema = NodeSchema {
    name: "perplexity",
    doc: "Perplexity on held-out text, against the unquantized model.",
    arguments: Arguments::None,
    properties: &[
        ON,
        PropertySchema {
            name: "max-increase",
            value: ValueKind::Fraction,
            presence: Presence::Default("2%"),
            doc: "Maximum rise above the baseline, relative to it.",
        },
        CONTEXT,
    ],
    children: &[],
};

/// Maximum rise of the perplexity above the baseline.
#[derive(ContentHash, Debug)]
#[content("perplexity")]
pub(crate) struct Perplexity {
    #[content("on")]
    on: String,
    #[content("max-increase")]
    max_increase: f64,
}

impl Metric for Perplexity {
    const SCHEMA: ChildSchema = ChildSchema { node: &NODE, occurs: Occurs::Any };
    const REMOTE: Option<RemoteKind> = Some(MeasureAction::<Chunks, 1>::REMOTE);

    fn plan(gate: &GatedModel<'_>, node: &Record) -> Result<Plan<Self>, Vec<RuleError>> {
        let data = gate.dataset(node, DatasetKind::Text)?;
        let n_ctx = chunk_context(gate, node)?;
        let max_increase = number_property(node, "max-increase").unwrap_or(0.02);
        let models = [gate.quantized(), gate.unquantized()];
        Ok(Plan {
            results: models.map(|model| gate.measured([model], Chunks { n_ctx }, &data)).to_vec(),
            metric: Self { on: data.name.clone(), max_increase },
            held_out: Some(data),
        })
    }

    fn judge(&self, results: &Results<'_>) -> Result<Vec<Check>, ActionError> {
        let (measured, baseline) = (results.measurement(0)?, results.measurement(1)?);
        let limit = format!("at most +{}", percent(self.max_increase));
        let passed = measured.value <= baseline.value * (1.0 + self.max_increase);
        let check = measured.against(&baseline, NODE.name, &self.on, limit, passed);
        Ok(vec![check.with_limits([("max-increase", Some(self.max_increase))])])
    }
}

/// Measures the perplexity over chunks of `context` tokens.
struct Chunks {
    n_ctx: usize,
}

impl Measure<1> for Chunks {
    const KIND: ActionKind =
        ActionKind { name: "perplexity", version: mc_runtime::perplexity::VERSION + measurement::VERSION };

    type Found = Measurement;

    fn parameters(&self) -> Vec<(String, String)> {
        vec![(CONTEXT.name.to_owned(), self.n_ctx.to_string())]
    }

    fn of_parameters(parameters: &Parameters) -> Result<(&Parameters, Self), String> {
        let (before, n_ctx) = context_of_parameters(parameters)?;
        Ok((before, Self { n_ctx }))
    }

    fn measure(
        &self,
        [model]: &[Opened; 1],
        data: &Data,
        ctx: &dyn ActionContext,
    ) -> Result<Measurement, ActionError> {
        let options = ChunkOptions { n_ctx: self.n_ctx, bos: model.begin(), max_chunks: None };
        let is_cancelled = || ctx.is_cancelled();
        let report = model_work::report(ctx, ProgressUnit::Tokens);
        let cancellation = Cancellation::new(&is_cancelled).reporting(&report);
        let ids = model.text_ids(data.items.clone(), ctx)?;
        let found = mc_runtime::perplexity::perplexity(&model.model, &ids, &options, cancellation)
            .map_err(|error| measurement_error(&format!("Perplexity on `{}`", data.name), &error))?;
        let shown = format!("{:.4} ± {:.4}", found.perplexity, found.standard_error);
        let interval = Interval::new(found.interval(), |end| format!("{end:.4}"));
        Ok(Measurement { value: found.perplexity, shown, interval })
    }
}
