//! Treatment of control tokens that are written in a text.

/// Selects whether control tokens in a text are recognized or treated as ordinary text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseSpecial {
    /// Recognized: the text is a rendered chat template.
    Yes,
    /// Ordinary text: the text comes from a user or a corpus.
    No,
}
