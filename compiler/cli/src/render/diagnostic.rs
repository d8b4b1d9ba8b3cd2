//! Renders diagnostics of declarations: for people with the source lines, for programs as JSON. Shows the first ones of
//! each file and counts the rest.

use std::collections::BTreeMap;

use mc_analysis::diagnostic::{Diagnostics, FileDiagnostic};
use mc_syntax::diagnostic::Severity;
use mc_syntax::line_index::LineIndex;
use mc_syntax::render::render;
use serde_json::{Value, json};

use crate::invocation::Invocation;
use crate::render::plural::plural;
use crate::report::under;

/// The lines of each file, indexed once for all of its diagnostics.
struct Lines<'a>(BTreeMap<&'a str, LineIndex<'a>>);

impl<'a> Lines<'a> {
    /// The lines of a file.
    fn of(&mut self, path: &'a str, text: &'a str) -> &LineIndex<'a> {
        self.0.entry(path).or_insert_with(|| LineIndex::new(text))
    }
}

/// Prints the diagnostics, and their number.
pub(crate) fn tell(invocation: &Invocation, diagnostics: &Diagnostics) {
    let mut lines = Lines(BTreeMap::new());
    for group in diagnostics.shown.chunk_by(|left, right| left.path == right.path) {
        for found in group {
            let mut shown = render(&found.path, lines.of(&found.path, &found.text), &found.diagnostic);
            for related in &found.related {
                let place = lines.of(&related.path, &related.text).line_column(related.span.start);
                let (line, column) = (place.line, place.column);
                shown.text(format!("  ::: {}:{line}:{column}: {}\n", related.path, under(&related.message)));
            }
            shown.text("\n");
            invocation.streams.error_markup(&shown);
        }
        let path = &group[0].path;
        if let Some(n_more) = diagnostics.n_more.get(path) {
            invocation.streams.error(&format!("… and {n_more} more in {path}\n\n"));
        }
    }
    let n_errors = diagnostics.n_all();
    if n_errors > 0 {
        invocation.streams.error(&format!("{n_errors} error{} in the declarations\n", plural(n_errors)));
    }
}

/// The diagnostics for programs; lines and columns count from 1.
pub(crate) fn json<'a>(diagnostics: &'a Diagnostics) -> Vec<Value> {
    let mut lines = Lines(BTreeMap::new());
    let one = |FileDiagnostic { path, text, diagnostic, .. }: &'a FileDiagnostic| {
        let place = lines.of(path, text).line_column(diagnostic.span.start);
        json!({
            "path": path,
            "line": place.line,
            "column": place.column,
            "start": diagnostic.span.start,
            "end": diagnostic.span.end,
            "severity": match diagnostic.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            "code": diagnostic.code,
            "message": diagnostic.message,
            "help": diagnostic.help,
        })
    };
    diagnostics.shown.iter().map(one).collect()
}
