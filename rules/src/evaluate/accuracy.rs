//! The accuracy gate: which share of questions a model answers exactly.
//!
//! Each question goes through the model's chat template as one user message; the answer is decoded greedily and
//! compared as text, spaces at both ends aside.

use mc_digest::digest::BlobDigest;
use mc_family::chat::{ChatTemplate, Message};
use mc_family::error::FamilyError;
use mc_family::tokenizer::parse_special::ParseSpecial;
use mc_ir::action::{Action, ActionContext, ActionError, ActionKind, Artifact, Input};
use mc_ir::attribute::Record;
use mc_ir::label::Label;
use mc_ir::output::Outputs;
use mc_runtime::accuracy::{Question, answers};
use mc_runtime::cancellation::Cancellation;
use serde::Deserialize;

use crate::action::target_step::target_step;
use crate::evaluate::gate::Measurement;
use crate::evaluate::perplexity::write_measurement;
use crate::evaluate::verdict::percent;
use crate::export::gguf::GgufInfo;
use crate::remote_kinds::{ITS_INPUT, RemoteKind, last, number};
use crate::runnable::subject::{Opened, Subject, measurement_error};
use crate::source::dataset::{DatasetInfo, reason};

/// The accuracy of the quantized model and of the unquantized one, in this order.
///
/// * `record`: the attributes of the target that wants to know
pub(crate) fn actions(
    owner: &Label,
    record: &Record,
    gguf: &GgufInfo,
    data: &DatasetInfo,
    max_tokens: usize,
) -> [Artifact; 2] {
    let subjects = [Subject::of_gguf(&gguf.gguf), Subject::of_model(&gguf.model)];
    subjects.map(|(subject, mut inputs)| {
        inputs.push(Input::Artifact(data.items.clone()));
        let action = Accuracy { subject, max_tokens, data: data.name.clone() };
        target_step(owner, record, action, inputs).artifact("measurement.json")
    })
}

/// One line of the dataset; other keys are for those who made it.
#[derive(Deserialize)]
struct Item {
    utterance: String,
    answer: String,
}

const MAX_TOKENS: &str = "max-tokens";

/// What a worker makes of the parameters.
pub(crate) static REMOTE: RemoteKind = RemoteKind {
    kind: ActionKind { name: "accuracy", version: mc_runtime::accuracy::VERSION + mc_family::chat::VERSION },
    make: |parameters| {
        let (of_subject, max_tokens) = last(parameters, MAX_TOKENS)?;
        let subject = Subject::of_parameters(of_subject)?;
        let max_tokens = number(MAX_TOKENS, max_tokens)?;
        // Its sender knows what it is measured on.
        Ok(Box::new(Accuracy { subject, max_tokens, data: ITS_INPUT.to_owned() }))
    },
};

struct Accuracy {
    subject: Subject,
    max_tokens: usize,
    data: String,
}

impl Action for Accuracy {
    fn kind(&self) -> ActionKind {
        REMOTE.kind
    }

    fn parameters(&self) -> Vec<(String, String)> {
        let mut parameters = self.subject.parameters();
        parameters.push((MAX_TOKENS.to_owned(), self.max_tokens.to_string()));
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
        let content = ctx.input(self.subject.n_inputs())?;
        let items = items(&content.to_contiguous(), &self.data)?;
        let prompts = Prompts::new(&opened)?;
        let questions = items.iter().map(|item| {
            ctx.go_on()?;
            Ok(Question { prompt: prompts.ids(&item.utterance)?, max_tokens: self.max_tokens })
        });
        let questions: Vec<Question> = questions.collect::<Result<_, ActionError>>()?;
        let is_cancelled = || ctx.is_cancelled();
        let (stop, cancellation) = (&opened.vocabulary.special.stop, Cancellation::new(&is_cancelled));
        let found = answers(&opened.model, &questions, stop, cancellation)
            .map_err(|error| measurement_error(&format!("Accuracy on `{}`", self.data), &error))?;
        let mut n_right = 0;
        for (item, answer) in items.iter().zip(&found) {
            let text = opened.tokenizer.decode(&answer.tokens).map_err(ActionError::failed)?;
            n_right += usize::from(text.trim() == item.answer.trim());
        }
        let value = n_right as f64 / items.len() as f64;
        let shown = format!("{} ({n_right} of {})", percent(value), items.len());
        write_measurement(ctx, &Measurement { value, shown })
    }
}

fn items(bytes: &[u8], data: &str) -> Result<Vec<Item>, ActionError> {
    let text = String::from_utf8_lossy(bytes);
    let item = |(index, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| {
            ActionError::failed(format!("Item {} of dataset `{data}`: {}", index + 1, reason(&error)))
                .with_help("Each line is an object with the texts `utterance` and `answer`")
        })
    };
    text.lines().enumerate().map(item).collect()
}

/// Turns user messages into ids with the model's chat template.
pub(crate) struct Prompts<'a> {
    opened: &'a Opened,
    source: &'a str,
    template: ChatTemplate,
    begin: String,
    end: String,
}

impl<'a> Prompts<'a> {
    /// Reads the template.
    pub(crate) fn new(opened: &'a Opened) -> Result<Self, ActionError> {
        let source = opened.vocabulary.chat_template.as_deref().ok_or_else(|| {
            ActionError::failed("The model has no chat template").with_help(
                "Put `chat_template` into `tokenizer_config.json`, or beside it as `chat_template.jinja`",
            )
        })?;
        let token = |id: Option<u32>| {
            id.and_then(|id| opened.vocabulary.tokens.get(id as usize)).cloned().unwrap_or_default()
        };
        Ok(Self {
            opened,
            source,
            template: ChatTemplate::new(source, opened.template_place)
                .map_err(|error| refused(&error, source))?,
            begin: token(opened.vocabulary.special.bos),
            end: token(opened.vocabulary.special.eos),
        })
    }

    /// The ids of one user message and the beginning of the answer.
    pub(crate) fn ids(&self, user: &str) -> Result<Vec<u32>, ActionError> {
        let message = Message { role: "user".to_owned(), content: user.to_owned() };
        let text = self
            .template
            .render(&[message], &self.begin, &self.end, true)
            .map_err(|error| refused(&error, self.source))?;
        let mut ids = self.opened.tokenizer.encode(&text, ParseSpecial::Yes).map_err(ActionError::failed)?;
        // Most templates write the begin token themselves; it must stand there once.
        if let Some(begin) = self.opened.begin()
            && ids.first() != Some(&begin)
        {
            ids.insert(0, begin);
        }
        Ok(ids)
    }
}

/// The error of a template. Models of one target carry the same template, and are measured side by side: the template is
/// to blame for both failures.
fn refused(error: &FamilyError, source: &str) -> ActionError {
    ActionError::failed(error).with_cause(BlobDigest::of(source.as_bytes()).to_string())
}
