//! Limits that stop an answer before the model ends it.

use mc_rules::inference::chat::Ending;

use crate::render::plural::plural;

/// The message for a full context.
pub(crate) const CONTEXT_FULL: &str = "stopped: the context of the model is full";

/// The message for an answer with the maximum number of tokens.
pub(crate) fn max_tokens(n: usize) -> String {
    format!("stopped after {n} token{}, the limit of --max-tokens", plural(n))
}

/// The message for the limit that stopped an answer; `None` if the model ended it, or no answer was requested.
pub(crate) fn reached(ending: Ending, max_tokens: usize) -> Option<String> {
    match ending {
        Ending::MaxTokens if max_tokens > 0 => Some(self::max_tokens(max_tokens)),
        Ending::ContextFull => Some(CONTEXT_FULL.to_owned()),
        Ending::MaxTokens | Ending::EndToken(_) => None,
    }
}
