//! Mistakes as a person sees them.

use expect_test::Expect;
use mc_analysis::check::check;
use mc_syntax::render::render;

use crate::fake::{Fixture, pattern};

/// Everything that is wrong with what the patterns stand for, as a person sees it.
pub(crate) fn shown(fixture: &Fixture, patterns: &[&str]) -> String {
    let patterns: Vec<_> = patterns.iter().map(|text| pattern(text)).collect();
    let mut text = String::new();
    for found in check(&fixture.db, &patterns) {
        text += &render(&found.path, &found.text, &found.diagnostic, false);
        for related in &found.related {
            let at = &related.text[related.span.start..related.span.end];
            text += &format!("  {}: {} at `{at}`\n", related.path, related.message);
        }
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
