//! Rendered diagnostics.

use expect_test::Expect;
use mc_analysis::check::check;
use mc_syntax::line_index::LineIndex;
use mc_syntax::render::render;

use crate::fake::{Fixture, pattern};

/// Renders all diagnostics of the targets that the patterns match.
pub(crate) fn shown(fixture: &Fixture, patterns: &[&str]) -> String {
    let patterns: Vec<_> = patterns.iter().map(|text| pattern(text)).collect();
    let mut text = String::new();
    let diagnostics = check(&fixture.db, &patterns);
    for found in diagnostics.shown {
        text += &render(&found.path, &LineIndex::new(&found.text), &found.diagnostic).to_string();
        for related in &found.related {
            let at = &related.text[related.span.start..related.span.end];
            text += &format!("  {}: {} at `{at}`\n", related.path, related.message);
        }
    }
    for (path, n_more) in diagnostics.n_more {
        text += &format!("{n_more} more in {path}\n");
    }
    text
}

pub(crate) fn check_files(files: &[(&str, &str)], expected: Expect) {
    expected.assert_eq(&shown(&Fixture::new(files), &["//..."]));
}

/// One package at the root, with the file `n.txt`.
pub(crate) fn check_text(text: &str, expected: Expect) {
    check_files(&[("package.kdl", text), ("n.txt", "")], expected);
}
