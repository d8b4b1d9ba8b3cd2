//! Prompts from the items of a dataset: a line of text is continued, a question is answered through the chat template.

use mc_ir::action::{ActionContext, ActionError};
use serde::Deserialize;

use crate::action::remote_kind::{Parameters, last};
use crate::evaluate::measure::Data;
use crate::inference::opened::Opened;
use crate::inference::prompts::Prompts;
use crate::source::dataset::{DatasetKind, reason};

/// The parameter of an action with the kind of its items.
const ITEMS: &str = "items";

/// A prompt.
pub(crate) struct PromptItem {
    /// Its text, as in the dataset.
    pub(crate) text: String,
    /// Its tokens, up to the one before the answer.
    pub(crate) ids: Vec<u32>,
}

/// One line of a dataset of questions; other keys are ignored.
#[derive(Deserialize)]
struct Question {
    utterance: String,
}

/// Returns the prompts of a dataset, in its order.
///
/// # Errors
/// Fails if an item is not a question although its kind says so, if the model has no chat template, or if the action
/// was cancelled.
pub(crate) fn prompt_items(
    model: &Opened,
    kind: DatasetKind,
    data: &Data,
    ctx: &dyn ActionContext,
) -> Result<Vec<PromptItem>, ActionError> {
    let lines = data.items.lines().filter(|line| !line.trim().is_empty());
    match kind {
        DatasetKind::Text => {
            let item = |line: &str| {
                let ids = model.text_ids(line.to_owned(), ctx)?;
                Ok(PromptItem { text: line.to_owned(), ids })
            };
            lines.map(item).collect()
        }
        DatasetKind::Json => {
            let prompts = Prompts::new(model)?;
            let item = |(number, line): (usize, &str)| {
                ctx.go_on()?;
                let Question { utterance } = serde_json::from_str(line).map_err(|error| {
                    let place = format!("Item {number} of dataset `{}`", data.name);
                    ActionError::failed(format!("{place}: {}", reason(&error)))
                        .with_help("Each line is an object with the text `utterance`")
                })?;
                Ok(PromptItem { ids: prompts.ids(&utterance)?, text: utterance })
            };
            (1..).zip(lines).map(item).collect()
        }
    }
}

/// Returns the parameter of an action with the kind of its items.
pub(crate) fn items_parameter(kind: DatasetKind) -> (String, String) {
    (ITEMS.to_owned(), kind.name().to_owned())
}

/// Reads the kind of the items from an action's last parameter; also returns the parameters before it.
///
/// # Errors
/// A sentence for the user if the last parameter is another one.
pub(crate) fn items_of_parameters(parameters: &Parameters) -> Result<(&Parameters, DatasetKind), String> {
    let (before, name) = last(parameters, ITEMS)?;
    let kind = [DatasetKind::Text, DatasetKind::Json].into_iter().find(|kind| kind.name() == name);
    kind.map(|kind| (before, kind)).ok_or_else(|| format!("Parameter `{ITEMS}` is `{name}`"))
}
