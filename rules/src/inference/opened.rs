//! A model that can be run, and the errors of running it.

use std::sync::Arc;

use mc_decoder::vocabulary::Vocabulary;
use mc_family::tokenizer::Tokenizer;
use mc_family::tokenizer::parse_special::ParseSpecial;
use mc_ir::action::{ActionContext, ActionError};
use mc_runtime::error::RuntimeError;
use mc_runtime::model::Model;

use crate::inference::cancellable::unless_cancelled;

/// A model that can be run.
pub(crate) struct Opened {
    /// Weights and program.
    pub(crate) model: Model,
    /// Text to ids and back.
    pub(crate) tokenizer: Arc<Tokenizer>,
    /// The vocabulary, for its special ids and its template.
    pub(crate) vocabulary: Vocabulary,
    /// The file or key that its template stands in, in quotes.
    pub(crate) template_place: &'static str,
}

impl Opened {
    /// The ids of a text that is read from its beginning: with the begin token, where the model wants one.
    ///
    /// # Errors
    /// When the tokenizer fails, or nobody wants the ids any more.
    pub(crate) fn text_ids(&self, text: String, ctx: &dyn ActionContext) -> Result<Vec<u32>, ActionError> {
        let tokenizer = Arc::clone(&self.tokenizer);
        let encode = move || tokenizer.encode(&text, ParseSpecial::No).map_err(ActionError::failed);
        let ids = unless_cancelled(ctx, encode)?;
        Ok(self.begin().into_iter().chain(ids).collect())
    }

    /// What begins every text.
    pub(crate) fn begin(&self) -> Option<u32> {
        self.vocabulary.special.bos.filter(|_| self.vocabulary.special.add_bos.unwrap_or(false))
    }
}

/// The lengths of a shape, as they count in memory.
pub(crate) fn dimensions(shape: &[u64]) -> Result<Vec<usize>, ActionError> {
    shape.iter().map(|n| usize::try_from(*n)).collect::<Result<_, _>>().map_err(ActionError::failed)
}

/// What a measurement says that failed, or was given up.
///
/// * `what`: of what, and on what
pub(crate) fn measurement_error(what: &str, error: &RuntimeError) -> ActionError {
    match error {
        RuntimeError::Cancelled => ActionError::Cancelled,
        error => ActionError::failed(format!("{what}: {error}")),
    }
}

/// What is wrong with a tensor.
pub(crate) fn tensor_error(name: &str, error: &RuntimeError) -> ActionError {
    ActionError::failed(format!("Tensor `{name}`: {error}"))
}
