//! Limits at which an answer stops that the model did not end.

use mc_rules::inference::chat::Ending;

use crate::render::plural::plural;

/// The words for a context that is full.
pub(crate) const CONTEXT_FULL: &str = "stopped: the context of the model is full";

/// The words for an answer that has as many tokens as it may have.
pub(crate) fn max_tokens(n: usize) -> String {
    format!("stopped after {n} token{}, the limit of --max-tokens", plural(n))
}

/// The words for the limit that an answer stopped at; `None` if the model ended it, or no answer was wanted.
pub(crate) fn reached(ending: Ending, max_tokens: usize) -> Option<String> {
    match ending {
        Ending::MaxTokens if max_tokens > 0 => Some(self::max_tokens(max_tokens)),
        Ending::ContextFull => Some(CONTEXT_FULL.to_owned()),
        Ending::MaxTokens | Ending::EndToken(_) => None,
    }
}
