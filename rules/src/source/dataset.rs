//! `dataset`: text for calibration, or text and questions for evaluation.
//!
//! Text files (`.txt`, `.md`) hold one item per line; `.jsonl` files hold one JSON object per line. Empty
//! lines are skipped. A sample is drawn by a keyed hash of each item, so adding or removing an item does not
//! affect the others.

use mc_digest::digest::Digest;
use mc_ir::action::{Action, ActionContext, ActionError, ActionKind, Artifact, Input, Source, write_bytes};
use mc_ir::output::{Output, Outputs};
use mc_ir::parameters::Parameters;
use mc_ir::provider::Providers;
use mc_ir::rule::{HeadFormat, Rule, RuleContext};
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Arguments, ChildSchema, NodeSchema, Occurs, Presence, PropertySchema, ValueKind};
use mc_ir::work::Work;

use crate::action::tags::TAGS;
use crate::action::target_action::target_action;
use crate::attributes::{counted, shown_path, source_error};
use crate::source::file_size::{self, MAX_DATA_FILE_BYTES};

/// The `dataset` rule.
pub struct Dataset;

/// Provider of a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetInfo {
    /// Its name, for reports.
    pub name: String,
    /// Its files and their names in messages.
    pub files: Vec<(Source, String)>,
    /// The kind of its items.
    pub kind: DatasetKind,
    /// The chosen items, one per line.
    pub items: Artifact,
}

/// The kind of a dataset's items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatasetKind {
    /// Lines of text.
    Text,
    /// JSON objects.
    Json,
}

impl DatasetKind {
    /// The kind's name in keys.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

static FILES: NodeSchema = NodeSchema {
    name: "files",
    doc: "The files, by pattern; all of one kind, `.txt` and `.md` or `.jsonl`.",
    arguments: Arguments::Many(ValueKind::Glob),
    properties: &[],
    children: &[],
};

static SAMPLE: NodeSchema = NodeSchema {
    name: "sample",
    doc: "Number of items to take; all by default.",
    arguments: Arguments::One(ValueKind::Integer),
    properties: &[PropertySchema {
        name: "seed",
        value: ValueKind::Integer,
        presence: Presence::Default("0"),
        doc: "Seed of the sample; equal seeds take equal items.",
    }],
    children: &[],
};

static SCHEMA: NodeSchema = NodeSchema {
    name: "dataset",
    doc: "Text or questions to calibrate or measure a model.",
    arguments: Arguments::None,
    properties: &[],
    children: &[
        ChildSchema { node: &FILES, occurs: Occurs::Once },
        ChildSchema { node: &SAMPLE, occurs: Occurs::Optional },
        ChildSchema { node: &TAGS, occurs: Occurs::Optional },
    ],
};

impl Rule for Dataset {
    fn schema(&self) -> &'static NodeSchema {
        &SCHEMA
    }

    fn analyze(&self, ctx: &dyn RuleContext) -> Result<Providers, Vec<RuleError>> {
        let record = ctx.record();
        let mut rule_errors = Vec::new();
        let mut paths = std::collections::BTreeSet::new();
        let patterns = record.child("files").map_or(&[][..], |files| files.arguments.as_slice());
        for pattern in patterns {
            let text = pattern.value.as_text().unwrap_or_default();
            match ctx.glob(text) {
                Ok(found) if found.is_empty() => rule_errors.push(
                    RuleError::new(pattern.place, "dataset::files", format!("No file matches `{text}`"))
                        .help("Patterns are relative to the package's folder; `*` does not cross folders, `**` does"),
                ),
                Ok(found) => paths.extend(found.iter().cloned()),
                Err(error) => rule_errors.push(source_error(pattern.place, "dataset::files", &error)),
            }
        }
        let kinds: Vec<Option<DatasetKind>> = paths.iter().map(|path| kind_of(path)).collect();
        let place = patterns.first().map_or(record.place, |pattern| pattern.place);
        for (path, kind) in paths.iter().zip(&kinds) {
            if kind.is_none() {
                rule_errors.push(
                    RuleError::new(
                        place,
                        "dataset::kind",
                        format!("`{path}` is neither `.txt`, `.md` nor `.jsonl`"),
                    )
                    .help("Narrow the pattern, or give the file the extension of its content"),
                );
            }
        }
        if kinds.contains(&Some(DatasetKind::Text)) && kinds.contains(&Some(DatasetKind::Json)) {
            rule_errors.push(
                RuleError::new(place, "dataset::kind", "The files are of two kinds, text and `.jsonl`")
                    .help("Declare one dataset for each kind"),
            );
        }
        if let Err(too_long) = file_size::check(ctx, place, "dataset::size", &paths, MAX_DATA_FILE_BYTES) {
            rule_errors.extend(too_long);
        }
        rule_errors.extend(paths.iter().filter(|path| is_blank(ctx, path)).map(|path| {
            RuleError::new(place, "dataset::empty", format!("`{path}` has no text"))
                .file(shown_path(ctx, path))
                .help("Remove the file, narrow the pattern, or write a line that is not empty")
        }));
        if !rule_errors.is_empty() {
            return Err(rule_errors);
        }
        let kind = kinds.into_iter().flatten().next().unwrap_or(DatasetKind::Text);
        let files: Vec<(Source, String)> =
            paths.iter().map(|path| (ctx.source(path), shown_path(ctx, path))).collect();
        let sample = record.child("sample").and_then(|sample| {
            let count = sample.argument()?.value.as_integer()?;
            let seed = sample.property("seed").and_then(|seed| seed.value.as_integer()).unwrap_or(0);
            Some(Sample { count: u64::try_from(count).unwrap_or(0), seed })
        });
        if sample.as_ref().is_some_and(|sample| sample.count == 0) {
            let place = crate::attributes::place_of(record, "sample");
            return Err(vec![RuleError::new(place, "dataset::sample", "A sample needs at least 1 item")]);
        }
        let inputs = files.iter().map(|(source, _)| Input::Source(source.clone())).collect();
        let shown = files.iter().map(|(_, shown)| shown.clone()).collect();
        let action = Collect { kind, sample, shown };
        let node = target_action(ctx.label(), record, action, inputs);
        let items = node.artifact("items");
        let file_name = match kind {
            DatasetKind::Text => "dataset.txt",
            DatasetKind::Json => "dataset.jsonl",
        };
        let mut providers = Providers::default().with(DatasetInfo {
            name: ctx.label().name.clone(),
            files,
            kind,
            items: items.clone(),
        });
        providers.outputs.push((file_name.to_owned(), items));
        Ok(providers)
    }
}

/// Longer files are checked when they are joined, because a file that is read here is read again after every change.
const MAX_LOOKED_AT: u64 = 4096;

/// Returns true if a short file contains only white space.
fn is_blank(ctx: &dyn RuleContext, path: &str) -> bool {
    let n_bytes = ctx.read_head(path, HeadFormat::Nothing).map_or(u64::MAX, |head| head.n_bytes);
    n_bytes <= MAX_LOOKED_AT
        && ctx
            .read(path)
            .is_ok_and(|bytes| std::str::from_utf8(&bytes).is_ok_and(|text| text.trim().is_empty()))
}

fn kind_of(path: &str) -> Option<DatasetKind> {
    match path.rsplit('.').next() {
        Some("txt" | "md") => Some(DatasetKind::Text),
        Some("jsonl") => Some(DatasetKind::Json),
        _ => None,
    }
}

#[derive(Clone, Debug)]
struct Sample {
    count: u64,
    seed: i64,
}

/// Joins the files and draws the sample.
struct Collect {
    kind: DatasetKind,
    sample: Option<Sample>,
    shown: Vec<String>,
}

impl Action for Collect {
    fn kind(&self) -> ActionKind {
        ActionKind { name: "dataset", version: 2 }
    }

    fn parameters(&self) -> Vec<(String, String)> {
        let sample = self.sample.as_ref();
        Parameters::new()
            .text("kind", self.kind.name())
            .option("sample", sample.map(|sample| sample.count))
            .option("seed", sample.map(|sample| sample.seed))
            .into_pairs()
    }

    fn outputs(&self) -> Vec<String> {
        vec!["items".to_owned()]
    }

    fn describe(&self) -> String {
        match self.shown.as_slice() {
            [one] => one.clone(),
            files => format!("{} files", files.len()),
        }
    }

    fn work(&self, sizes: &[u64]) -> Work {
        Work::reading(self.kind().name, sizes.iter().sum())
    }

    fn run(&self, ctx: &dyn ActionContext) -> Result<Outputs, ActionError> {
        let mut items: Vec<String> = Vec::new();
        for (index, shown) in self.shown.iter().enumerate() {
            let content = ctx.input(index)?;
            let bytes = content.to_contiguous();
            let text = std::str::from_utf8(&bytes).map_err(|error| {
                ActionError::failed(format!("`{shown}` is not UTF-8 at byte {}", error.valid_up_to()))
                    .with_help("Save the file as UTF-8")
            })?;
            let n_before = items.len();
            for (line_idx, line) in text.lines().enumerate() {
                ctx.go_on()?;
                if line.trim().is_empty() {
                    continue;
                }
                if self.kind == DatasetKind::Json {
                    check_object(line, shown, line_idx + 1)?;
                }
                items.push(line.trim_end().to_owned());
            }
            if items.len() == n_before {
                return Err(ActionError::failed(format!("`{shown}` has no text"))
                    .with_help("Every file of a dataset needs a line that is not empty"));
            }
        }
        if let Some(sample) = &self.sample {
            items = draw(items, sample)?;
        }
        let blob = write_bytes(ctx, (items.join("\n") + "\n").as_bytes())?;
        Ok(Outputs::from([("items".to_owned(), Output::File(blob))]))
    }
}

fn check_object(line: &str, shown: &str, line_number: usize) -> Result<(), ActionError> {
    match serde_json::from_str::<serde_json::Value>(line) {
        Ok(serde_json::Value::Object(_)) => Ok(()),
        Ok(_) => Err(ActionError::failed(format!("`{shown}`, line {line_number}: not a JSON object"))),
        Err(error) => Err(ActionError::failed(format!("`{shown}`, line {line_number}: {}", reason(&error)))
            .with_help("A `.jsonl` file holds one JSON object per line")),
    }
}

/// Describes the error in a line of JSON, without the line number that the parser counts within it.
pub(crate) fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or(&text);
    format!("{what} at column {}", error.column())
}

/// Takes the items with the smallest keyed hashes, in their original order.
fn draw(items: Vec<String>, sample: &Sample) -> Result<Vec<String>, ActionError> {
    if (items.len() as u64) < sample.count {
        return Err(ActionError::failed(format!(
            "The dataset has {}; `sample` asks for {}",
            counted(items.len(), "item", "items"),
            sample.count
        ))
        .with_help("Reduce `sample`, or add files"));
    }
    let mut ranked: Vec<(Digest, usize)> = items
        .iter()
        .enumerate()
        .map(|(index, item)| (Digest::of(format!("{}\n{item}", sample.seed).as_bytes()), index))
        .collect();
    ranked.sort();
    ranked.truncate(usize::try_from(sample.count).unwrap_or(usize::MAX));
    let mut chosen: Vec<usize> = ranked.into_iter().map(|(_, index)| index).collect();
    chosen.sort_unstable();
    let mut items: Vec<Option<String>> = items.into_iter().map(Some).collect();
    Ok(chosen.into_iter().filter_map(|index| items[index].take()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(n: usize) -> Vec<String> {
        (0..n).map(|index| format!("item {index}")).collect()
    }

    #[test]
    fn a_sample_has_its_count_and_keeps_the_order() {
        let chosen = draw(items(100), &Sample { count: 10, seed: 7 }).unwrap();
        assert_eq!(chosen.len(), 10);
        let numbers: Vec<usize> = chosen.iter().map(|item| item[5..].parse().unwrap()).collect();
        assert!(numbers.is_sorted());
        assert_eq!(draw(items(100), &Sample { count: 10, seed: 7 }).unwrap(), chosen);
        assert_ne!(draw(items(100), &Sample { count: 10, seed: 8 }).unwrap(), chosen);
    }

    #[test]
    fn an_added_item_replaces_at_most_one_of_the_sample() {
        let sample = Sample { count: 10, seed: 7 };
        let before = draw(items(100), &sample).unwrap();
        let after = draw(items(101), &sample).unwrap();
        assert!(before.iter().filter(|item| !after.contains(item)).count() <= 1);
    }

    #[test]
    fn a_sample_larger_than_the_dataset_fails() {
        assert!(draw(items(3), &Sample { count: 4, seed: 0 }).is_err());
    }
}
