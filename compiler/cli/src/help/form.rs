//! The common form of all pages of help.

use clap::builder::StyledStr;
use mc_syntax::terminal::Markup;

/// Longest line of help, in columns.
pub(crate) const MAX_WIDTH: usize = 100;

/// Heading of the options that the short help of every verb shows.
pub(crate) const COMMON: &str = "Common options";

/// Help with its colors, for [`crate::streams::Streams`].
pub(crate) fn markup(text: &StyledStr) -> Markup {
    Markup::of_colored(&text.ansi().to_string())
}
