//! Mistakes in declarations: for people with the source lines, for programs as JSON.

use mc_analysis::diagnostic::FileDiagnostic;
use mc_syntax::diagnostic::Severity;
use mc_syntax::line_index::LineIndex;
use mc_syntax::render::render;
use mc_syntax::span::Span;
use serde_json::{Value, json};

use crate::invocation::Invocation;
use crate::render::style::Style;
use crate::render::summary::plural;

/// Shows every diagnostic, and how many there are.
pub(crate) fn tell(invocation: &Invocation, diagnostics: &[FileDiagnostic]) {
    let is_colored = invocation.streams.err_style == Style::Ansi;
    for diagnostic in diagnostics {
        let mut text = render(&diagnostic.path, &diagnostic.text, &diagnostic.diagnostic, is_colored);
        for related in &diagnostic.related {
            let (line, column) = position(&related.text, related.span);
            text.push_str(&format!("  ::: {}:{line}:{column}: {}\n", related.path, related.message));
        }
        text.push('\n');
        invocation.streams.error(&text);
    }
    let n_errors = diagnostics.len();
    if n_errors > 0 {
        invocation.streams.error(&format!("{n_errors} mistake{} in the declarations\n", plural(n_errors)));
    }
}

/// The diagnostics for programs; lines and columns count from 1.
pub(crate) fn json(diagnostics: &[FileDiagnostic]) -> Vec<Value> {
    let one = |found: &FileDiagnostic| {
        let diagnostic = &found.diagnostic;
        let (line, column) = position(&found.text, diagnostic.span);
        json!({
            "path": found.path,
            "line": line,
            "column": column,
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
    diagnostics.iter().map(one).collect()
}

fn position(text: &str, span: Span) -> (usize, usize) {
    let place = LineIndex::new(text).line_column(span.start);
    (place.line, place.column)
}
