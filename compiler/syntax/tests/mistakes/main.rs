//! Diagnostics for erroneous texts.

mod files;
mod strings;
mod structure;
mod words;

use expect_test::Expect;
use mc_syntax::line_index::LineIndex;
use mc_syntax::parse::parse;
use mc_syntax::render::render;

#[expect(clippy::needless_pass_by_value, reason = "a call reads better without a reference")]
pub(crate) fn check(text: &str, expected: Expect) {
    let diagnostics = parse(text).diagnostics;
    let lines = LineIndex::new(text);
    let rendered: Vec<String> =
        diagnostics.iter().map(|it| render("package.kdl", &lines, it).to_string()).collect();
    expected.assert_eq(&rendered.join("\n"));
}
