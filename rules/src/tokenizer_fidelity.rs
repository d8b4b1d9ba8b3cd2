//! The tokenizer-fidelity gate: whether a GGUF cuts text as the checkpoint does.
//!
//! Compared are the ids of our tokenizer on the checkpoint's files, of the `tokenizers` library on `tokenizer.json`, and
//! of the vocabulary in the GGUF, on each line of a dataset and on texts that are known to be hard. Of the texts that
//! differ the shortest is shown, because it says the most.

use mc_family::fidelity::{Difference, Fidelity};
use mc_format::gguf::vocabulary_keys::vocabulary as gguf_vocabulary;
use mc_ir::action::{
    Action, ActionContext, ActionError, ActionKind, ActionNode, Artifact, Input, write_bytes,
};
use mc_ir::label::Label;
use mc_ir::output::{Output, Outputs};
use mc_ir::schema::{Arguments, NodeSchema};
use serde::{Deserialize, Serialize};

use crate::dataset::DatasetInfo;
use crate::gate::ON;
use crate::gguf::GgufInfo;
use crate::model_info::ModelInfo;
use crate::subject::gguf_head;
use crate::token_files::{Contents, fidelity_of};
use crate::verdict::Check;

/// The node's name.
pub(crate) const NAME: &str = "tokenizer-fidelity";

pub(crate) static SCHEMA: NodeSchema = NodeSchema {
    name: NAME,
    doc: "Equal token ids from the checkpoint's tokenizer and from the GGUF.",
    arguments: Arguments::None,
    properties: &[ON],
    children: &[],
};

/// What was compared and what differed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fidelities {
    n_texts: usize,
    n_different: usize,
    /// The shortest text that differs.
    first: Option<String>,
}

/// The comparison of a GGUF with its checkpoint on a dataset.
pub(crate) fn action(owner: &Label, gguf: &GgufInfo, data: &DatasetInfo) -> Artifact {
    let files = gguf.model.files.tokenizer_sources().into_iter().map(|(_, source)| Input::Source(source));
    let inputs = [Input::Artifact(gguf.gguf.clone()), Input::Artifact(data.items.clone())];
    let inputs = inputs.into_iter().chain(files).collect();
    let action = Compare { model: gguf.model.clone(), data: data.name.clone() };
    ActionNode::new(owner.clone(), Box::new(action), inputs).artifact("fidelity.json")
}

/// What a comparison means for a verdict.
///
/// # Errors
/// When `bytes` are no comparison.
pub(crate) fn check(bytes: &[u8], on: &str) -> Result<Check, ActionError> {
    let found: Fidelities = serde_json::from_slice(bytes).map_err(ActionError::failed)?;
    let measured = match &found.first {
        None => format!("{} texts equal", found.n_texts),
        Some(first) => format!("{} of {} texts differ: {first}", found.n_different, found.n_texts),
    };
    Ok(Check {
        name: NAME.to_owned(),
        on: Some(on.to_owned()),
        baseline: None,
        measured,
        value: found.n_different as f64,
        baseline_value: None,
        delta: None,
        limit: "all equal".to_owned(),
        passed: found.n_different == 0,
    })
}

struct Compare {
    model: ModelInfo,
    data: String,
}

impl Action for Compare {
    fn kind(&self) -> ActionKind {
        ActionKind { name: "fidelity", version: 1 }
    }

    fn parameters(&self) -> Vec<(String, String)> {
        let roles: Vec<String> =
            self.model.files.tokenizer_sources().into_iter().map(|(role, _)| role).collect();
        vec![
            ("files".to_owned(), roles.join(" ")),
            ("architecture".to_owned(), self.model.decoder.architecture.clone()),
            ("n-vocab".to_owned(), self.model.decoder.n_vocab.to_string()),
        ]
    }

    fn outputs(&self) -> Vec<String> {
        vec!["fidelity.json".to_owned()]
    }

    fn describe(&self) -> String {
        format!("tokenizer on {}", self.data)
    }

    fn run(&self, ctx: &dyn ActionContext) -> Result<Outputs, ActionError> {
        let gguf = gguf_head(&ctx.input(0)?)?;
        let container = gguf_vocabulary(&gguf).map_err(ActionError::failed)?;
        let files = self.model.files.tokenizer_sources();
        let contents = Contents::read_from(ctx, &files, 2)?;
        let fidelity = fidelity_of(&contents, &self.model.decoder, &container)?;
        let data = ctx.input(1)?;
        let found = compare(&fidelity, &String::from_utf8_lossy(&data.to_contiguous()), &self.data)?;
        let json = serde_json::to_vec(&found).map_err(ActionError::failed)?;
        let blob = write_bytes(ctx, &json)?;
        Ok(Outputs::from([("fidelity.json".to_owned(), Output::File(blob))]))
    }
}

fn compare(fidelity: &Fidelity, text: &str, data: &str) -> Result<Fidelities, ActionError> {
    let lines = (1..).zip(text.lines()).map(|(line, text)| (format!("line {line} of `{data}`"), text));
    let hard = fidelity.hard_texts().map(|text| ("a built-in text".to_owned(), text));
    let mut found = Fidelities { n_texts: 0, n_different: 0, first: None };
    let mut shortest = usize::MAX;
    for (place, text) in lines.chain(hard) {
        found.n_texts += 1;
        let Some(difference) = fidelity.difference(text).map_err(ActionError::failed)? else { continue };
        found.n_different += 1;
        if text.len() < shortest {
            shortest = text.len();
            found.first = Some(told(&place, &difference));
        }
    }
    Ok(found)
}

fn told(place: &str, difference: &Difference) -> String {
    let [(left, left_ids), (right, right_ids)] = &difference.sides;
    format!(
        "{place}, {:?}, from byte {} on: {left} has {left_ids}; {right} has {right_ids}",
        difference.text, difference.n_equal_bytes
    )
}
