//! Diagnostics with their files: the first of each file, and the number of further ones.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use mc_ir::label::Label;
use mc_syntax::diagnostic::Diagnostic;
use mc_syntax::span::Span;

use crate::db::Db;
use crate::outside;
use crate::resolve::Suggestions;

/// A diagnostic about a declaration file, with all data needed to display it.
#[derive(Clone, Debug, PartialEq)]
pub struct FileDiagnostic {
    /// The file, relative to the workspace.
    pub path: String,
    /// The text to which the spans of `diagnostic` refer.
    pub text: Arc<str>,
    /// The error and its span.
    pub diagnostic: Diagnostic,
    /// Related locations in other files.
    pub related: Vec<Related>,
}

/// A location in another file.
#[derive(Clone, Debug, PartialEq)]
pub struct Related {
    /// The file, relative to the workspace.
    pub path: String,
    /// The text to which the span refers.
    pub text: Arc<str>,
    /// The span.
    pub span: Span,
    /// Text for the span.
    pub message: String,
}

/// The diagnostics to display.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diagnostics {
    /// The first [`MAX_SHOWN`] of each file, ordered by file and span.
    pub shown: Vec<FileDiagnostic>,
    /// Number of further diagnostics, for each file that has any.
    pub n_more: BTreeMap<String, usize>,
}

/// Maximum number of diagnostics shown per file: a user fixes these before reading further ones.
pub const MAX_SHOWN: usize = 100;

impl Diagnostics {
    /// Returns true if there are no diagnostics.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }

    /// Total number of diagnostics, including those that are only counted.
    #[must_use]
    pub fn n_all(&self) -> usize {
        self.shown.len() + self.n_more.values().sum::<usize>()
    }
}

impl FileDiagnostic {
    pub(crate) fn new(db: &dyn Db, path: &str, diagnostic: Diagnostic) -> Self {
        Self { path: path.to_owned(), text: text(db, path), diagnostic, related: Vec::new() }
    }

    /// Adds a related location in this file or another.
    pub(crate) fn add_related(&mut self, db: &dyn Db, (path, span): (String, Span), message: &str) {
        if path == self.path {
            self.diagnostic.labels.push(mc_syntax::diagnostic::Label { span, message: message.to_owned() });
        } else {
            let text = text(db, &path);
            self.related.push(Related { path, text, span, message: message.to_owned() });
        }
    }

    /// Orders by file, then by span, then by content.
    fn order(&self, other: &Self) -> Ordering {
        let key = |diagnostic: &Self| {
            let span = diagnostic.diagnostic.span;
            (span.start, span.end)
        };
        self.path
            .cmp(&other.path)
            .then_with(|| key(self).cmp(&key(other)))
            .then_with(|| self.diagnostic.code.cmp(other.diagnostic.code))
            .then_with(|| self.diagnostic.message.cmp(&other.diagnostic.message))
    }
}

/// Takes diagnostics in any order and keeps the first of each file, so that time and memory are at most linear in their
/// number.
#[derive(Default)]
pub(crate) struct Collector {
    files: BTreeMap<String, File>,
}

#[derive(Default)]
struct File {
    found: Vec<Found>,
    n_more: usize,
}

/// A diagnostic. For an unknown label, the help is searched only if the diagnostic is shown.
struct Found {
    diagnostic: FileDiagnostic,
    unknown: Option<Label>,
}

impl Collector {
    /// Adds a diagnostic.
    pub(crate) fn push(&mut self, diagnostic: FileDiagnostic) {
        self.insert(Found { diagnostic, unknown: None });
    }

    /// Adds a diagnostic about an unknown label.
    pub(crate) fn push_unknown(&mut self, diagnostic: FileDiagnostic, label: Label) {
        self.insert(Found { diagnostic, unknown: Some(label) });
    }

    /// Counts diagnostics that are not shown.
    pub(crate) fn count(&mut self, path: &str, n_more: usize) {
        if n_more > 0 {
            self.files.entry(path.to_owned()).or_default().n_more += n_more;
        }
    }

    fn insert(&mut self, found: Found) {
        let file = match self.files.get_mut(&found.diagnostic.path) {
            Some(file) => file,
            None => self.files.entry(found.diagnostic.path.clone()).or_default(),
        };
        file.found.push(found);
        // Pruned at twice the bound, so that the amortized cost of sorting stays small.
        if file.found.len() >= 2 * MAX_SHOWN {
            file.prune();
        }
    }

    /// Returns the first diagnostics of each file, each once, with help for unknown labels.
    pub(crate) fn finish(self, db: &dyn Db) -> Diagnostics {
        let mut diagnostics = Diagnostics::default();
        let mut suggestions = Suggestions::new(db);
        for (path, mut file) in self.files {
            file.prune();
            if file.n_more > 0 {
                diagnostics.n_more.insert(path, file.n_more);
            }
            diagnostics.shown.extend(file.found.into_iter().map(|found| {
                let mut diagnostic = found.diagnostic;
                if let Some(label) = found.unknown {
                    diagnostic.diagnostic.help = Some(suggestions.help(&label));
                }
                diagnostic
            }));
        }
        diagnostics
    }
}

impl File {
    fn prune(&mut self) {
        self.found.sort_by(|a, b| a.diagnostic.order(&b.diagnostic));
        self.found.dedup_by(|a, b| a.diagnostic == b.diagnostic);
        self.n_more += self.found.len().saturating_sub(MAX_SHOWN);
        self.found.truncate(MAX_SHOWN);
    }
}

fn text(db: &dyn Db, path: &str) -> Arc<str> {
    outside::parse_permitted(db, path).map_or_else(|_| "".into(), |parsed| Arc::clone(&parsed.text))
}
