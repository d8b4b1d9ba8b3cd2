//! Treatment of control tokens that are written in a text.

/// Whether control tokens written in a text are recognised or are text like any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseSpecial {
    /// Recognised: the text is a rendered chat template.
    Yes,
    /// Ordinary text: the text comes from a user or a corpus.
    No,
}
