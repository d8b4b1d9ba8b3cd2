//! Errors for users: what happened, the location, the cause, help.
//!
//! Errors in KDL are diagnostics with a span and are rendered elsewhere; reports are for all other errors.

use std::fmt::Display;

use mc_syntax::terminal::{Markup, Paint};
use serde_json::{Value, json};

use crate::exit::Exit;

/// One error, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// Exit code that follows from the error.
    pub(crate) exit: Exit,
    /// The error in one sentence.
    pub(crate) what: String,
    /// Location: a file, a label, an action.
    pub(crate) place: Option<String>,
    /// Cause of the error.
    pub(crate) because: Option<String>,
    /// Advice on how to fix it.
    pub(crate) hint: Option<String>,
}

impl Report {
    /// An error in the build, in a file or in the store.
    pub(crate) fn failed(what: impl Display) -> Self {
        Self::new(Exit::Failed, what)
    }

    /// An error in the command line or in a declaration.
    pub(crate) fn usage(what: impl Display) -> Self {
        Self::new(Exit::Declaration, what)
    }

    /// No gate among the targets of a command that runs gates.
    pub(crate) fn no_tests(what: impl Display) -> Self {
        Self::new(Exit::NoTests, what)
    }

    fn new(exit: Exit, what: impl Display) -> Self {
        Self { exit, what: what.to_string(), place: None, because: None, hint: None }
    }

    /// Adds the location.
    #[must_use]
    pub(crate) fn at(mut self, place: impl Display) -> Self {
        self.place = Some(place.to_string());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub(crate) fn because(mut self, because: impl Display) -> Self {
        self.because = Some(because.to_string());
        self
    }

    /// Adds advice.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// Adds advice, if there is any.
    #[must_use]
    pub(crate) fn maybe_hint(self, hint: Option<&String>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }

    /// The report as lines of text, with a newline at the end.
    pub(crate) fn markup(&self) -> Markup {
        let mut markup = Markup::default();
        markup.painted(Paint::Red, "error:");
        markup.text(" ");
        markup.painted(Paint::Bold, under(&self.what));
        markup.text("\n");
        let rows = [("  -->", &self.place), ("  because:", &self.because), ("  help:", &self.hint)];
        for (word, value) in rows {
            if let Some(value) = value {
                markup.painted(Paint::Cyan, word);
                markup.text(format!(" {}\n", under(value)));
            }
        }
        markup
    }

    /// The report as JSON.
    pub(crate) fn json(&self) -> Value {
        json!({ "message": self.what, "place": self.place, "because": self.because, "help": self.hint })
    }
}

/// A warning, ready to be shown.
pub(crate) fn warning(text: &str) -> Markup {
    let mut markup = Markup::default();
    markup.painted(Paint::Yellow, "warning:");
    markup.text(format!(" {}\n", under(text)));
    markup
}

/// Indents further lines below the first, so that quoted text cannot look like a separate report.
pub(crate) fn under(text: &str) -> String {
    text.trim_end().replace('\n', "\n    ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_shows_error_location_cause_and_help() {
        let report = Report::failed("Cannot build `//models:app`")
            .at("tensor blk.0.attn_q.weight")
            .because("One\ntwo")
            .hint("Try again");
        assert_eq!(
            report.markup().to_string(),
            "error: Cannot build `//models:app`\n  --> tensor blk.0.attn_q.weight\n  because: One\n    two\n  help: Try again\n"
        );
        assert!(report.markup().show(true).contains('\u{1b}'));
    }
}
