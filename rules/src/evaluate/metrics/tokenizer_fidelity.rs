//! Tokenizer fidelity: checks that a file tokenizes text exactly as the checkpoint does.
//!
//! Three token sequences are compared, for each line of a dataset and for texts that are known to be hard:
//! those of our tokenizer on the checkpoint's files, of the `tokenizers` library on `tokenizer.json`, and of
//! the vocabulary in the file. Of the texts that differ, the shortest is reported, because it shows the cause
//! best.

use std::collections::BTreeMap;

use mc_digest::content_hash::ContentHash;
use mc_family::tokenizer::fidelity::{CONTAINER, Difference, Fidelity};
use mc_ir::action::{Action, ActionContext, ActionError, ActionKind, Input, write_bytes};
use mc_ir::attribute::Record;
use mc_ir::output::{Output, Outputs};
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Arguments, ChildSchema, NodeSchema, Occurs, Presence, PropertySchema, ValueKind};
use mc_ir::work::Work;
use serde::{Deserialize, Serialize};

use crate::attributes::label_property;
use crate::evaluate::gated_model::{GatedModel, ON};
use crate::evaluate::metric::{Metric, Plan, Results};
use crate::evaluate::verdict::Check;
use crate::exporters;
use crate::source::dataset::DatasetKind;
use crate::source::file_head::{first_piece, format_error};
use crate::source::model_info::ModelInfo;
use crate::source::token_files::{Contents, fidelity_of};

/// The property that names another checkpoint.
const AGAINST: &str = "against";

/// The output that holds the [`Fidelities`].
const FIDELITY: &str = "fidelity.json";

static NODE: NodeSchema = NodeSchema {
    name: "tokenizer-fidelity",
    doc: "Equal token ids from the checkpoint's tokenizer and from the file.",
    arguments: Arguments::None,
    properties: &[
        ON,
        PropertySchema {
            name: AGAINST,
            value: ValueKind::Label,
            presence: Presence::Optional,
            doc: "The checkpoint whose tokenizer is the reference; by default, the one from which the file was made.",
        },
    ],
    children: &[],
};

/// Allows no difference at all.
#[derive(ContentHash, Debug)]
#[content("tokenizer-fidelity")]
pub(crate) struct TokenizerFidelity {
    #[content("on")]
    on: String,
}

impl Metric for TokenizerFidelity {
    const SCHEMA: ChildSchema = ChildSchema { node: &NODE, occurs: Occurs::Any };

    fn plan(gate: &GatedModel<'_>, node: &Record) -> Result<Plan<Self>, Vec<RuleError>> {
        if exporters::by_name(gate.export.format).is_none_or(|format| format.container().is_none()) {
            return Err(vec![no_vocabulary(node, gate.export.format)]);
        }
        let model = match label_property(node, AGAINST) {
            None => gate.export.model.clone(),
            Some(named) => gate.provider::<ModelInfo>(&named, "a `checkpoint`")?,
        };
        if model.files.tokenizer.is_none() && model.files.tokenizer_model.is_none() {
            return Err(vec![no_tokenizer(node, &model)]);
        }
        let data = gate.dataset(node, DatasetKind::Text)?;
        let files = model.files.tokenizer_sources().into_iter().map(|(_, source)| Input::Source(source));
        let inputs = [Input::Artifact(gate.export.whole.clone()), Input::Artifact(data.items.clone())];
        let inputs = inputs.into_iter().chain(files).collect();
        let compare = Compare { model, data: data.name.clone(), format: gate.export.format };
        let result = gate.step(compare, inputs).artifact(FIDELITY);
        // Calibration text is allowed: no quality is measured, so the text cannot inflate a result.
        Ok(Plan { metric: Self { on: data.name }, results: vec![result], held_out: None })
    }

    fn judge(&self, results: &Results<'_>) -> Result<Vec<Check>, ActionError> {
        Ok(vec![check(&results.found(0)?, &self.on)])
    }
}

fn no_vocabulary(node: &Record, format: &str) -> RuleError {
    let title = exporters::title(format);
    let message =
        format!("{title} has no vocabulary of its own: it ships the tokenizer files of the checkpoint");
    RuleError::new(node.place, "gate::tokenizer", message)
        .help("Leave `tokenizer-fidelity` out: the files are the same")
}

fn no_tokenizer(node: &Record, model: &ModelInfo) -> RuleError {
    let format = model.files.head.as_ref().map_or("container", |head| exporters::title(head.format));
    let message = format!("The model was read from a {format}, which has no other tokenizer to compare with");
    RuleError::new(node.place, "gate::tokenizer", message)
        .help("Write `against=\":checkpoint\"`, a folder with the reference tokenizer")
}

/// Number of compared and of different texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Fidelities {
    n_texts: usize,
    n_different: usize,
    /// The shortest text that differs.
    first: Option<String>,
}

/// Turns a comparison into a verdict line.
fn check(found: &Fidelities, on: &str) -> Check {
    let measured = match &found.first {
        None => format!("{} texts equal", found.n_texts),
        Some(first) => format!("{} of {} texts differ: {first}", found.n_different, found.n_texts),
    };
    Check {
        name: NODE.name.to_owned(),
        on: Some(on.to_owned()),
        measured,
        value: Some(found.n_different as f64),
        limit: "all equal".to_owned(),
        limits: BTreeMap::from([("max".to_owned(), 0.0)]),
        passed: found.n_different == 0,
        ..Check::default()
    }
}

struct Compare {
    model: ModelInfo,
    data: String,
    /// The format of the file, for the text of the result; the file itself is an input.
    format: &'static str,
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
            ("family".to_owned(), self.model.decoder.family.clone()),
            ("n-vocab".to_owned(), self.model.decoder.n_vocab.to_string()),
        ]
    }

    fn outputs(&self) -> Vec<String> {
        vec![FIDELITY.to_owned()]
    }

    fn describe(&self) -> String {
        format!("tokenizer on {}", self.data)
    }

    fn work(&self, sizes: &[u64]) -> Work {
        Work::reading(self.kind().name, sizes.get(1).copied().unwrap_or_default())
    }

    fn run(&self, ctx: &dyn ActionContext) -> Result<Outputs, ActionError> {
        let file = ctx.input(0)?;
        let container = exporters::vocabulary(first_piece(&file)).map_err(format_error)?;
        let files = self.model.files.tokenizer_sources();
        let contents = Contents::read_from(ctx, &files, 2)?;
        let fidelity = fidelity_of(&contents, &self.model.decoder, &container)?;
        let data = ctx.input(1)?;
        let names = Names { data: &self.data, file: &format!("the {}", exporters::title(self.format)) };
        let data = data.to_contiguous();
        let found = compare(&fidelity, &String::from_utf8_lossy(&data), &names, &|| ctx.go_on())?;
        let json = serde_json::to_vec(&found).map_err(ActionError::failed)?;
        let blob = write_bytes(ctx, &json)?;
        Ok(Outputs::from([(FIDELITY.to_owned(), Output::File(blob))]))
    }
}

/// The names of the compared parts in a message.
struct Names<'a> {
    data: &'a str,
    file: &'a str,
}

fn compare(
    fidelity: &Fidelity,
    text: &str,
    names: &Names<'_>,
    go_on: &dyn Fn() -> Result<(), ActionError>,
) -> Result<Fidelities, ActionError> {
    let lines =
        (1..).zip(text.lines()).map(|(line, text)| (format!("line {line} of `{}`", names.data), text));
    let hard = fidelity.hard_texts().map(|text| ("a built-in text".to_owned(), text));
    let mut found = Fidelities { n_texts: 0, n_different: 0, first: None };
    let mut shortest = usize::MAX;
    for (place, text) in lines.chain(hard) {
        go_on()?;
        found.n_texts += 1;
        let Some(difference) = fidelity.difference(text).map_err(ActionError::failed)? else { continue };
        found.n_different += 1;
        if text.len() < shortest {
            shortest = text.len();
            found.first = Some(reported(&place, &difference, names));
        }
    }
    Ok(found)
}

fn reported(place: &str, difference: &Difference, names: &Names<'_>) -> String {
    let [(left, left_ids), (right, right_ids)] = &difference.sides;
    let right = if right == CONTAINER { names.file } else { right };
    format!(
        "{place}, {:?}, from byte {} on: {left} has {left_ids}; {right} has {right_ids}",
        difference.text, difference.n_equal_bytes
    )
}

#[cfg(test)]
mod tests {
    use mc_decoder::vocabulary::Vocabulary;
    use mc_family::tokenizer::vocabulary::vocabulary;
    use mc_family::tokenizer_files::TokenizerFiles;
    use serde_json::{Value, json};

    use super::*;
    use crate::evaluate::toy_gate::file;

    const TOKENIZER: &str = include_str!("../../../../compiler/family/tests/data/tokenizer.json");
    const N_VOCAB: u32 = 4100;
    const LINES: &str = "A boat at sea\nWhere is the hexagon?\nA hexagon\nNothing else";

    /// A tokenizer with an additional token and a different first merge.
    fn tuned() -> String {
        let mut json: Value = serde_json::from_str(TOKENIZER).unwrap();
        json["model"]["merges"].as_array_mut().unwrap().swap(0, 5);
        let added = json["added_tokens"].as_array_mut().unwrap();
        let mut own = added[2].clone();
        (own["id"], own["content"], own["special"]) = (json!(4096), json!("<scratch pad>"), json!(false));
        added.push(own);
        json.to_string()
    }

    /// Returns the vocabulary after writing it to a file and reading it back.
    fn through_file(vocabulary: &Vocabulary) -> Vocabulary {
        exporters::vocabulary(&file(vocabulary, &[])).unwrap()
    }

    /// Returns the gate's check of a checkpoint with one tokenizer and a file with the vocabulary of another.
    fn verdict(checkpoint: &str, of_file: &str, change: impl Fn(&mut Vocabulary)) -> Check {
        let files =
            |text| TokenizerFiles { config: b"{}", tokenizer: Some(text), ..TokenizerFiles::default() };
        let mut written = vocabulary(&files(of_file.as_bytes()), N_VOCAB, "llama").unwrap();
        change(&mut written);
        let container = through_file(&written);
        let fidelity = Fidelity::new(&files(checkpoint.as_bytes()), N_VOCAB, "llama", &container).unwrap();
        let found =
            compare(&fidelity, LINES, &Names { data: "lines", file: "the file" }, &|| Ok(())).unwrap();
        check(&found, "lines")
    }

    #[test]
    fn a_fine_tuned_tokenizer_passes_through_its_file() {
        let tuned = tuned();
        let check = verdict(&tuned, &tuned, |_| {});
        assert!(check.passed, "{}", check.measured);
        let files =
            TokenizerFiles { config: b"{}", tokenizer: Some(tuned.as_bytes()), ..TokenizerFiles::default() };
        let written = vocabulary(&files, N_VOCAB, "llama").unwrap();
        let read = through_file(&written);
        assert_eq!(
            (&read.tokens, &read.types, &read.merges),
            (&written.tokens, &written.types, &written.merges)
        );
        assert_eq!(read.tokens[4096], "<scratch pad>");
    }

    #[test]
    fn a_merge_that_is_missing_in_the_file_fails_at_the_shortest_text_that_needs_it() {
        let check = verdict(TOKENIZER, TOKENIZER, |vocabulary| {
            assert_eq!(vocabulary.merges.remove(0), "h e");
        });
        assert!(!check.passed);
        let start = "line 3 of `lines`, \"A hexagon\", from byte 1 on: the checkpoint has ";
        assert!(check.measured.contains(start), "{}", check.measured);
    }

    #[test]
    fn a_tokenizer_that_was_changed_after_the_file_was_written_fails() {
        let check = verdict(&tuned(), TOKENIZER, |_| {});
        assert!(!check.passed);
        assert!(check.measured.contains("texts differ: "), "{}", check.measured);
    }
}
