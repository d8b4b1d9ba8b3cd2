//! A mistake, with the file that it is in.

use std::cmp::Ordering;
use std::sync::Arc;

use mc_syntax::diagnostic::Diagnostic;
use mc_syntax::span::Span;

use crate::db::Db;
use crate::parse::parse;
use crate::source_file::Request;

/// A mistake in a file of declarations, with all that is needed to show it.
#[derive(Clone, Debug, PartialEq)]
pub struct FileDiagnostic {
    /// The file, relative to the workspace.
    pub path: String,
    /// The text that the spans of `diagnostic` point into.
    pub text: Arc<str>,
    /// What is wrong, and where.
    pub diagnostic: Diagnostic,
    /// Places in other files that belong to it.
    pub related: Vec<Related>,
}

/// A place in another file.
#[derive(Clone, Debug, PartialEq)]
pub struct Related {
    /// The file, relative to the workspace.
    pub path: String,
    /// The text that the span points into.
    pub text: Arc<str>,
    /// Where.
    pub span: Span,
    /// What is there.
    pub message: String,
}

impl FileDiagnostic {
    pub(crate) fn new(db: &dyn Db, path: &str, diagnostic: Diagnostic) -> Self {
        Self { path: path.to_owned(), text: text(db, path), diagnostic, related: Vec::new() }
    }

    /// Adds a place that belongs to the mistake, in this file or another.
    pub(crate) fn add_related(&mut self, db: &dyn Db, (path, span): (String, Span), message: &str) {
        if path == self.path {
            self.diagnostic = self.diagnostic.clone().with_label(span, message);
        } else {
            let text = text(db, &path);
            self.related.push(Related { path, text, span, message: message.to_owned() });
        }
    }

    /// By file, then by place, then by what is wrong.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
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

fn text(db: &dyn Db, path: &str) -> Arc<str> {
    Arc::clone(&parse(db, db.source_file(Request::Declarations(path.to_owned()))).text)
}
