//! Errors as a user sees them: what, where, because, hint.
//!
//! Mistakes in KDL are diagnostics with a span and are rendered elsewhere; a report is for everything else.

use std::fmt::Display;

use serde_json::{Value, json};

use crate::exit::Exit;
use crate::render::style::Style;

/// One error, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// How `mc` ends because of it.
    pub(crate) exit: Exit,
    /// What went wrong.
    pub(crate) what: String,
    /// Where: a file, a label, a step.
    pub(crate) place: Option<String>,
    /// What made it go wrong.
    pub(crate) because: Option<String>,
    /// What to do.
    pub(crate) hint: Option<String>,
}

impl Report {
    /// A failure of the build, of a file or of the store.
    pub(crate) fn failed(what: impl Display) -> Self {
        Self::new(Exit::Failed, what)
    }

    /// A mistake on the command line or in a declaration.
    pub(crate) fn usage(what: impl Display) -> Self {
        Self::new(Exit::Declaration, what)
    }

    fn new(exit: Exit, what: impl Display) -> Self {
        Self { exit, what: what.to_string(), place: None, because: None, hint: None }
    }

    /// Says where.
    #[must_use]
    pub(crate) fn at(mut self, place: impl Display) -> Self {
        self.place = Some(place.to_string());
        self
    }

    /// Says why.
    #[must_use]
    pub(crate) fn because(mut self, because: impl Display) -> Self {
        self.because = Some(because.to_string());
        self
    }

    /// Says what to do.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// The report as lines of text, with a newline at the end.
    pub(crate) fn text(&self, style: Style) -> String {
        let mut text = format!("{} {}\n", style.red("error:"), style.bold(&self.what));
        let rows = [("  -->", &self.place), ("  because:", &self.because), ("  hint:", &self.hint)];
        for (word, value) in rows {
            if let Some(value) = value {
                // Further lines of a long reason stay under its first.
                let value = value.trim_end().replace('\n', "\n    ");
                text.push_str(&format!("{} {value}\n", style.cyan(word)));
            }
        }
        text
    }

    /// The report as JSON.
    pub(crate) fn json(&self) -> Value {
        json!({ "message": self.what, "place": self.place, "because": self.because, "hint": self.hint })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_where_because_and_hint() {
        let report = Report::failed("Cannot build `//models:app`")
            .at("tensor blk.0.attn_q.weight")
            .because("One\ntwo")
            .hint("Try again");
        assert_eq!(
            report.text(Style::Plain),
            "error: Cannot build `//models:app`\n  --> tensor blk.0.attn_q.weight\n  because: One\n    two\n  hint: Try again\n"
        );
        assert!(report.text(Style::Ansi).contains('\u{1b}'));
    }
}
