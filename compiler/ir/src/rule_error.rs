//! Faults: what a rule finds wrong with a declaration, before anybody knows where in which file that is.
//!
//! The analysis turns each into a diagnostic by looking its place up in the package's span table.

use crate::attribute::Place;

/// One mistake in a target's declaration, or in a source file that the declaration names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    /// The value or node that is wrong, in the target under analysis.
    pub place: Place,
    /// A stable code, `rule::what`.
    pub code: &'static str,
    /// What was expected and what was found.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// A source file that the fault is in, when it is not in the KDL itself (shown as `path: …`).
    pub file: Option<String>,
    /// True if nothing needs to be wrong with the declaration: files that it names are not on this machine.
    pub is_absence: bool,
    /// Other places in the target that explain it, and what is there.
    pub related: Vec<(Place, String)>,
}

impl RuleError {
    /// A fault at a place.
    pub fn new(place: Place, code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { place, code, message, help: None, file: None, is_absence: false, related: Vec::new() }
    }

    /// Says that only files are missing on this machine. A check that needs no weights leaves out what depends on them.
    #[must_use]
    pub fn absence(mut self) -> Self {
        self.is_absence = true;
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Shows one more place of the target.
    #[must_use]
    pub fn related(mut self, place: Place, message: impl Into<String>) -> Self {
        self.related.push((place, message.into()));
        self
    }

    /// Says which source file is at fault.
    #[must_use]
    pub fn file(mut self, file: impl Into<String>) -> Self {
        self.file = Some(file.into());
        self
    }
}
