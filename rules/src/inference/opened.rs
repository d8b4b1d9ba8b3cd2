//! A model that is ready to run, and conversion of its errors.

use std::sync::Arc;

use mc_decoder::vocabulary::Vocabulary;
use mc_family::tokenizer::Tokenizer;
use mc_family::tokenizer::parse_special::ParseSpecial;
use mc_ir::action::{ActionContext, ActionError};
use mc_runtime::error::RuntimeError;
use mc_runtime::model::Model;

use crate::inference::cancellable::unless_cancelled;

/// A model that is ready to run.
pub(crate) struct Opened {
    /// Weights and program.
    pub(crate) model: Model,
    /// Converts text to ids and back.
    pub(crate) tokenizer: Arc<Tokenizer>,
    /// The vocabulary, for its special ids and its template.
    pub(crate) vocabulary: Vocabulary,
    /// The file or key that contains its template, in quotes.
    pub(crate) template_place: &'static str,
}

impl Opened {
    /// Returns the ids of a text from its beginning, including the begin token if the model uses one.
    ///
    /// # Errors
    /// Fails if the tokenizer fails, or if the action was cancelled.
    pub(crate) fn text_ids(&self, text: String, ctx: &dyn ActionContext) -> Result<Vec<u32>, ActionError> {
        let tokenizer = Arc::clone(&self.tokenizer);
        let encode = move || tokenizer.encode(&text, ParseSpecial::No).map_err(ActionError::failed);
        let ids = unless_cancelled(ctx, encode)?;
        Ok(self.begin().into_iter().chain(ids).collect())
    }

    /// Returns the token that begins every text, if there is one.
    pub(crate) fn begin(&self) -> Option<u32> {
        self.vocabulary.special.bos.filter(|_| self.vocabulary.special.add_bos.unwrap_or(false))
    }
}

/// Converts the lengths of a shape to `usize`.
pub(crate) fn dimensions(shape: &[u64]) -> Result<Vec<usize>, ActionError> {
    shape.iter().map(|n| usize::try_from(*n)).collect::<Result<_, _>>().map_err(ActionError::failed)
}

/// Converts the error of a measurement that failed or was cancelled.
///
/// * `what`: the quantity and the dataset
pub(crate) fn measurement_error(what: &str, error: &RuntimeError) -> ActionError {
    match error {
        RuntimeError::Cancelled => ActionError::Cancelled,
        error => ActionError::failed(format!("{what}: {error}")),
    }
}

/// Adds a tensor's name to an error.
pub(crate) fn tensor_error(name: &str, error: &RuntimeError) -> ActionError {
    ActionError::failed(format!("Tensor `{name}`: {error}"))
}
