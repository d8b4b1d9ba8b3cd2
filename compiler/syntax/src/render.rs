//! Renders a diagnostic for people: the location, the source line, carets under it, labels and help.
//!
//! Time and length are bounded by the number of labels, because all quoted text is truncated.

use crate::diagnostic::{Diagnostic, Severity};
use crate::line_index::LineIndex;
use crate::screen::{ShownLine, fits};
use crate::span::Span;
use crate::terminal::{Markup, Paint};

/// Renders a diagnostic of the file `path` with its source lines; the last line ends with a line break.
///
/// Tabs are shown as four spaces; a long line is shown only around the error.
#[must_use]
pub fn render(path: &str, lines: &LineIndex<'_>, diagnostic: &Diagnostic) -> Markup {
    let mut out = Markup::default();
    Report { lines, diagnostic }.write(path, &mut out);
    out
}

/// A longer message is truncated, because nobody would read a quotation of that length.
const MAX_MESSAGE: usize = 4_000;

struct Report<'a> {
    lines: &'a LineIndex<'a>,
    diagnostic: &'a Diagnostic,
}

/// A span within one line, and its message.
struct Mark<'a> {
    line: usize,
    /// Bytes from the start of the line.
    span: Span,
    message: &'a str,
    is_primary: bool,
}

impl Report<'_> {
    fn write(&self, path: &str, out: &mut Markup) {
        let diagnostic = self.diagnostic;
        out.painted(self.primary_paint(), format!("{}[{}]", diagnostic.severity.word(), diagnostic.code));
        out.painted(Paint::Bold, format!(": {}", indented(&diagnostic.message)));
        let marks = self.marks();
        let n_digits = marks.last().map_or(1, |mark| mark.line.to_string().len());
        let place = self.lines.line_column(diagnostic.span.start);
        out.text(format!("\n{:n_digits$}", ""));
        out.painted(Paint::Blue, "-->");
        out.text(format!(" {path}:{}:{}\n", place.line, place.column));
        gutter(out, n_digits, "", "|");
        out.text("\n");
        self.sources(out, &marks, n_digits);
        if let Some(help) = &diagnostic.help {
            gutter(out, n_digits, "", "=");
            out.painted(Paint::Bold, " help:");
            out.text(format!(" {}\n", indented(help)));
        }
    }

    /// The error and its labels, by line and column.
    fn marks(&self) -> Vec<Mark<'_>> {
        let labels = self.diagnostic.labels.iter().map(|label| self.mark(label.span, &label.message, false));
        let mut marks: Vec<Mark<'_>> = labels.collect();
        marks.push(self.mark(self.diagnostic.span, "", true));
        marks.sort_by_key(|mark| (mark.line, mark.span, !mark.is_primary));
        marks
    }

    /// The part of a span on its first line.
    fn mark<'b>(&self, span: Span, message: &'b str, is_primary: bool) -> Mark<'b> {
        let line = self.lines.line_column(span.start).line;
        let start = self.lines.line_start(line);
        let len = self.lines.line_text(line).len();
        let within = |offset: usize| offset.saturating_sub(start).min(len);
        Mark { line, span: Span::new(within(span.start), within(span.end)), message, is_primary }
    }

    /// Each line once, with its marks below it; a line that is too long is repeated for each mark.
    fn sources(&self, out: &mut Markup, marks: &[Mark<'_>], n_digits: usize) {
        let mut last_line = None;
        for group in marks.chunk_by(|left, right| left.line == right.line) {
            let line = group[0].line;
            if last_line.is_some_and(|last| last + 1 < line) {
                out.painted(Paint::Blue, "...");
                out.text("\n");
            }
            last_line = Some(line);
            let source = self.lines.line_text(line);
            let size = if fits(source) { group.len() } else { 1 };
            for marks in group.chunks(size) {
                self.source(out, source, marks, n_digits);
            }
        }
    }

    fn source(&self, out: &mut Markup, source: &str, marks: &[Mark<'_>], n_digits: usize) {
        let shown = ShownLine::new(source, marks[0].span.start);
        gutter(out, n_digits, &marks[0].line.to_string(), "|");
        // An empty line is a line break alone, so that no line of the report ends with spaces.
        out.text(format!("{}\n", format!(" {}", shown.text).trim_end()));
        for mark in marks {
            let (first, n_cells) = shown.cells(mark.span);
            let (sign, paint) =
                if mark.is_primary { ("^", self.primary_paint()) } else { ("-", Paint::Blue) };
            let underline = format!("{} {}", sign.repeat(n_cells), indented(mark.message));
            gutter(out, n_digits, "", "|");
            out.text(format!(" {:first$}", ""));
            out.painted(paint, underline.trim_end());
            out.text("\n");
        }
    }

    const fn primary_paint(&self) -> Paint {
        match self.diagnostic.severity {
            Severity::Error => Paint::Red,
            Severity::Warning => Paint::Yellow,
        }
    }
}

fn gutter(out: &mut Markup, n_digits: usize, number: &str, sign: &str) {
    out.painted(Paint::Blue, format!("{number:>n_digits$} {sign}"));
}

/// A message for display: truncated, and with further lines indented, so that quoted text cannot look like a separate
/// report.
fn indented(message: &str) -> String {
    let (shown, rest) = match message.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => (&message[..end], "..."),
        None => (message, ""),
    };
    format!("{}{rest}", shown.replace('\n', "\n    "))
}
