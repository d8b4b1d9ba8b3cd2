//! Errors that a rule finds in a declaration, without a file location.
//!
//! The analysis turns each into a diagnostic by looking up its place in the package's span table.

use crate::attribute::Place;

/// One error in a target's declaration, or in a source file that the declaration names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    /// The value or node that is wrong, in the target under analysis.
    pub place: Place,
    /// A stable code, `rule::error`.
    pub code: &'static str,
    /// The expected and the found value.
    pub message: String,
    /// A hint for fixing it.
    pub help: Option<String>,
    /// The source file with the error, if it is not in the KDL itself (shown as `path: …`).
    pub file: Option<String>,
    /// True if the declaration may be correct: only files that it names are absent on this machine.
    pub is_absence: bool,
    /// Other places in the target that explain it, and what is there.
    pub related: Vec<(Place, String)>,
}

impl RuleError {
    /// An error at a place.
    pub fn new(place: Place, code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { place, code, message, help: None, file: None, is_absence: false, related: Vec::new() }
    }

    /// Marks the error as one about absent files. A check without weights skips everything that depends on them.
    #[must_use]
    pub fn absence(mut self) -> Self {
        self.is_absence = true;
        self
    }

    /// Adds a hint.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds another place of the target.
    #[must_use]
    pub fn related(mut self, place: Place, message: impl Into<String>) -> Self {
        self.related.push((place, message.into()));
        self
    }

    /// Sets the source file with the error.
    #[must_use]
    pub fn file(mut self, file: impl Into<String>) -> Self {
        self.file = Some(file.into());
        self
    }
}
