//! Collects the diagnostics of one text, up to a bound.

use crate::diagnostic::Diagnostic;
use crate::span::Span;

/// Nobody reads more than this, and a file of nothing but mistakes must not fill the memory.
const MAX_DIAGNOSTICS: usize = 1000;

/// The diagnostics so far.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    diagnostics: Vec<Diagnostic>,
}

impl Sink {
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        if self.diagnostics.len() < MAX_DIAGNOSTICS {
            self.diagnostics.push(diagnostic);
        }
    }

    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.diagnostics.len()
    }

    /// All of them, in the order of the text.
    pub(crate) fn finish(self) -> Vec<Diagnostic> {
        let mut diagnostics = self.diagnostics;
        diagnostics.sort_by_key(|diagnostic| diagnostic.span);
        if diagnostics.len() == MAX_DIAGNOSTICS {
            let last = diagnostics.last().map_or(Span::at(0), |diagnostic| diagnostic.span);
            let message = format!("Found {MAX_DIAGNOSTICS} mistakes; there may be more that are not shown");
            diagnostics.push(Diagnostic::error("kdl::too-many", message, last));
        }
        diagnostics
    }
}
