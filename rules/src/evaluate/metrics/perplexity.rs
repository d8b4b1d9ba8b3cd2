//! The perplexity gate: how well a model predicts held-out text.
//!
//! Source: `perplexity` of llama.cpp: chunks of one context, the second half of each is scored.

use mc_ir::action::{Action, ActionContext, ActionError, ActionKind, Artifact, Input};
use mc_ir::attribute::Record;
use mc_ir::label::Label;
use mc_ir::output::Outputs;
use mc_runtime::cancellation::Cancellation;
use mc_runtime::chunks::ChunkOptions;

use crate::action::remote_kind::{ITS_INPUT, RemoteKind, last, number};
use crate::action::target_step::target_step;
use crate::evaluate::measurement::{Measurement, write_measurement};
use crate::export::gguf::GgufInfo;
use crate::inference::chunk_len::chunk_len;
use crate::inference::opened::measurement_error;
use crate::inference::subject::Subject;
use crate::source::dataset::DatasetInfo;

/// The perplexity of the quantized model and of the unquantized one, in this order.
///
/// * `record`: the attributes of the target that wants to know
///
/// # Errors
/// A sentence, when the model cannot attend over `context` tokens.
pub(crate) fn actions(
    owner: &Label,
    record: &Record,
    gguf: &GgufInfo,
    data: &DatasetInfo,
    context: Option<usize>,
) -> Result<[Artifact; 2], String> {
    let n_ctx = chunk_len(context, gguf.model.decoder.context_length as usize)?;
    let subjects = [Subject::of_gguf(&gguf.gguf), Subject::of_model(&gguf.model)];
    Ok(subjects.map(|(subject, mut inputs)| {
        inputs.push(Input::Artifact(data.items.clone()));
        let action = Perplexity { subject, n_ctx, data: data.name.clone() };
        target_step(owner, record, action, inputs).artifact("measurement.json")
    }))
}

const CONTEXT: &str = "context";

/// What a worker makes of the parameters.
pub(crate) static REMOTE: RemoteKind = RemoteKind {
    kind: ActionKind { name: "perplexity", version: mc_runtime::perplexity::VERSION },
    make: |parameters| {
        let (of_subject, context) = last(parameters, CONTEXT)?;
        let subject = Subject::of_parameters(of_subject)?;
        let n_ctx = number(CONTEXT, context)?;
        // Its sender knows what it is measured on.
        Ok(Box::new(Perplexity { subject, n_ctx, data: ITS_INPUT.to_owned() }))
    },
};

struct Perplexity {
    subject: Subject,
    n_ctx: usize,
    data: String,
}

impl Action for Perplexity {
    fn kind(&self) -> ActionKind {
        REMOTE.kind
    }

    fn parameters(&self) -> Vec<(String, String)> {
        let mut parameters = self.subject.parameters();
        parameters.push((CONTEXT.to_owned(), self.n_ctx.to_string()));
        parameters
    }

    fn outputs(&self) -> Vec<String> {
        vec!["measurement.json".to_owned()]
    }

    fn describe(&self) -> String {
        format!("{} model on {}", self.subject.describe(), self.data)
    }

    fn run(&self, ctx: &dyn ActionContext) -> Result<Outputs, ActionError> {
        let opened = self.subject.open(ctx)?;
        let items = ctx.input(self.subject.n_inputs())?;
        let text = String::from_utf8_lossy(&items.to_contiguous()).into_owned();
        let options = ChunkOptions { n_ctx: self.n_ctx, bos: opened.begin(), max_chunks: None };
        let is_cancelled = || ctx.is_cancelled();
        let cancellation = Cancellation::new(&is_cancelled);
        let ids = opened.text_ids(text, ctx)?;
        let found = mc_runtime::perplexity::perplexity(&opened.model, &ids, &options, cancellation)
            .map_err(|error| measurement_error(&format!("Perplexity on `{}`", self.data), &error))?;
        let measurement = Measurement {
            value: found.perplexity,
            shown: format!("{:.4} ± {:.4}", found.perplexity, found.standard_error),
        };
        write_measurement(ctx, &measurement)
    }
}
