//! The leak check: a model must not be measured on its calibration text.
//!
//! Items are compared as text without leading and trailing spaces; of a JSON item, only its `utterance`
//! counts.

use std::collections::BTreeMap;

use mc_ir::action::{Action, ActionContext, ActionError, ActionKind, Artifact, Input, write_bytes};
use mc_ir::attribute::Record;
use mc_ir::label::Label;
use mc_ir::output::{Output, Outputs};
use mc_ir::work::Work;

use crate::action::target_action::target_action;
use crate::attributes::counted;
use crate::source::dataset::{DatasetInfo, DatasetKind};

/// Maximum number of shared lines that an error lists.
const MAX_LISTED: usize = 10;

/// Creates the check of one calibration set against one evaluation set.
///
/// * `record`: the attributes of the target that needs the check
pub(crate) fn action(
    owner: &Label,
    record: &Record,
    calibration: &DatasetInfo,
    evaluation: &DatasetInfo,
) -> Artifact {
    let files = |data: &DatasetInfo| {
        data.files.iter().map(|(_, shown)| (shown.clone(), data.kind)).collect::<Vec<_>>()
    };
    let inputs = [calibration, evaluation]
        .iter()
        .flat_map(|data| data.files.iter().map(|(source, _)| Input::Source(source.clone())))
        .collect();
    let action = LeakCheck {
        names: (calibration.name.clone(), evaluation.name.clone()),
        calibration: files(calibration),
        evaluation: files(evaluation),
    };
    target_action(owner, record, action, inputs).artifact("checked")
}

struct LeakCheck {
    names: (String, String),
    calibration: Vec<(String, DatasetKind)>,
    evaluation: Vec<(String, DatasetKind)>,
}

impl Action for LeakCheck {
    fn kind(&self) -> ActionKind {
        ActionKind { name: "leak-check", version: 1 }
    }

    fn parameters(&self) -> Vec<(String, String)> {
        let kinds = |files: &[(String, DatasetKind)]| {
            files.iter().map(|(_, kind)| kind.name()).collect::<Vec<_>>().join(" ")
        };
        vec![
            ("calibration".to_owned(), kinds(&self.calibration)),
            ("evaluation".to_owned(), kinds(&self.evaluation)),
        ]
    }

    fn outputs(&self) -> Vec<String> {
        vec!["checked".to_owned()]
    }

    fn describe(&self) -> String {
        format!("{} against {}", self.names.0, self.names.1)
    }

    fn work(&self, sizes: &[u64]) -> Work {
        Work::reading(self.kind().name, sizes.iter().sum())
    }

    fn run(&self, ctx: &dyn ActionContext) -> Result<Outputs, ActionError> {
        let mut known: BTreeMap<String, String> = BTreeMap::new();
        for (index, (shown, kind)) in self.calibration.iter().enumerate() {
            for (line_number, text) in texts(ctx, index, shown, *kind)? {
                known.entry(text).or_insert_with(|| format!("{shown}:{line_number}"));
            }
        }
        let mut shared = Vec::new();
        for (offset, (shown, kind)) in self.evaluation.iter().enumerate() {
            for (line_number, text) in texts(ctx, self.calibration.len() + offset, shown, *kind)? {
                if let Some(place) = known.get(&text) {
                    shared.push(format!("{place} = {shown}:{line_number}: {text}"));
                }
            }
        }
        if !shared.is_empty() {
            return Err(overlap(&self.names, &shared));
        }
        let blob = write_bytes(ctx, b"no shared items\n")?;
        Ok(Outputs::from([("checked".to_owned(), Output::File(blob))]))
    }
}

fn overlap((calibration, evaluation): &(String, String), shared: &[String]) -> ActionError {
    let mut message = format!(
        "Datasets `{calibration}` (calibration) and `{evaluation}` (evaluation) share {}; expected none",
        counted(shared.len(), "line", "lines")
    );
    for line in shared.iter().take(MAX_LISTED) {
        message.push_str("\n  ");
        message.push_str(line);
    }
    if shared.len() > MAX_LISTED {
        message.push_str(&format!("\n  … and {} more", shared.len() - MAX_LISTED));
    }
    ActionError::failed(message)
        .with_help("Remove these lines from one of the two; otherwise the measured quality is too high")
}

/// Returns the texts of a file with their line numbers.
fn texts(
    ctx: &dyn ActionContext,
    index: usize,
    shown: &str,
    kind: DatasetKind,
) -> Result<Vec<(usize, String)>, ActionError> {
    let content = ctx.input(index)?;
    let bytes = content.to_contiguous();
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        ActionError::failed(format!("`{shown}` is not UTF-8 at byte {}", error.valid_up_to()))
    })?;
    let mut found = Vec::new();
    for (line_idx, line) in text.lines().enumerate() {
        ctx.go_on()?;
        match kind {
            DatasetKind::Text => found.push((line_idx + 1, line.trim().to_owned())),
            // Answers are few and shared by design; only the utterance must be new.
            DatasetKind::Json => {
                if let Ok(value) = serde_json::from_str::<serde_json::Value>(line)
                    && let Some(utterance) = value.get("utterance").and_then(serde_json::Value::as_str)
                {
                    found.push((line_idx + 1, utterance.trim().to_owned()));
                }
            }
        }
    }
    found.retain(|(_, text)| !text.is_empty());
    Ok(found)
}
