//! Collects the diagnostics of one text, up to a limit, and counts the rest.

use crate::diagnostic::Diagnostic;

/// Nobody reads more than this, and a file full of errors must not exhaust the memory.
const MAX_KEPT: usize = 1000;

/// The diagnostics so far.
#[derive(Clone, Debug, Default)]
pub struct Sink {
    diagnostics: Vec<Diagnostic>,
    n_more: usize,
}

impl Sink {
    /// Adds a diagnostic; beyond the limit it is only counted.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.push_with(|| diagnostic);
    }

    /// Adds a diagnostic that is expensive to create; beyond the limit it is not created.
    pub fn push_with(&mut self, diagnostic: impl FnOnce() -> Diagnostic) {
        if self.diagnostics.len() < MAX_KEPT {
            self.diagnostics.push(diagnostic());
        } else {
            self.n_more += 1;
        }
    }

    /// Number of diagnostics, including those that were only counted.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.diagnostics.len() + self.n_more
    }

    /// Returns true if there are no diagnostics.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The kept diagnostics in the order of the text, and the number of further ones.
    #[must_use]
    pub fn finish(self) -> (Vec<Diagnostic>, usize) {
        let mut diagnostics = self.diagnostics;
        diagnostics.sort_by_key(|diagnostic| diagnostic.span);
        (diagnostics, self.n_more)
    }
}
