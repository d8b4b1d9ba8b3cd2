//! One diagnostic as text for people: the place, the source line, carets under it, labels and help.

use std::fmt::{self, Write};

use crate::diagnostic::{Diagnostic, Severity};
use crate::line_index::LineIndex;
use crate::screen::{ShownLine, fits};
use crate::span::Span;

/// Shows a diagnostic of the file `path` with the text `text`; the last line ends with a line break.
///
/// Tabs are shown as four spaces, and of a long line the part around the mistake. With `color`, the escapes that
/// terminals understand are put in.
#[must_use]
pub fn render(path: &str, text: &str, diagnostic: &Diagnostic, color: bool) -> String {
    let report = Report { lines: LineIndex::new(text), diagnostic, color };
    let mut rendered = String::new();
    report.write(path, &mut rendered).expect("a string takes all that is written to it");
    rendered
}

struct Report<'a> {
    lines: LineIndex<'a>,
    diagnostic: &'a Diagnostic,
    color: bool,
}

/// A span within one line, and what is said of it.
struct Mark<'a> {
    line: usize,
    /// Bytes from the start of the line.
    span: Span,
    message: &'a str,
    is_primary: bool,
}

const BOLD: &str = "1";
const RED: &str = "1;31";
const YELLOW: &str = "1;33";
const BLUE: &str = "1;34";

impl Report<'_> {
    fn write(&self, path: &str, out: &mut String) -> fmt::Result {
        let diagnostic = self.diagnostic;
        let head = format!("{}[{}]", diagnostic.severity.word(), diagnostic.code);
        self.paint(out, self.primary_color(), &head)?;
        self.paint(out, BOLD, &format!(": {}", diagnostic.message))?;
        let marks = self.marks();
        let n_digits = marks.last().map_or(1, |mark| mark.line.to_string().len());
        let place = self.lines.line_column(diagnostic.span.start);
        write!(out, "\n{:n_digits$}", "")?;
        self.paint(out, BLUE, "-->")?;
        writeln!(out, " {path}:{}:{}", place.line, place.column)?;
        self.gutter(out, n_digits, "", "|")?;
        out.push('\n');
        self.sources(out, &marks, n_digits)?;
        if let Some(help) = &diagnostic.help {
            self.gutter(out, n_digits, "", "=")?;
            self.paint(out, BOLD, " help:")?;
            writeln!(out, " {help}")?;
        }
        Ok(())
    }

    /// The mistake and its labels, by line and column.
    fn marks(&self) -> Vec<Mark<'_>> {
        let labels = self.diagnostic.labels.iter().map(|label| self.mark(label.span, &label.message, false));
        let mut marks: Vec<Mark<'_>> = labels.collect();
        marks.push(self.mark(self.diagnostic.span, "", true));
        marks.sort_by_key(|mark| (mark.line, mark.span, !mark.is_primary));
        marks
    }

    /// Of a span of several lines, the part on the first one.
    fn mark<'b>(&self, span: Span, message: &'b str, is_primary: bool) -> Mark<'b> {
        let line = self.lines.line_column(span.start).line;
        let start = self.lines.line_start(line);
        let len = self.lines.line_text(line).len();
        let within = |offset: usize| offset.saturating_sub(start).min(len);
        Mark { line, span: Span::new(within(span.start), within(span.end)), message, is_primary }
    }

    /// Each line once, with its marks below it; a line that is too long once for each mark.
    fn sources(&self, out: &mut String, marks: &[Mark<'_>], n_digits: usize) -> fmt::Result {
        let mut last_line = None;
        for group in marks.chunk_by(|left, right| left.line == right.line) {
            let line = group[0].line;
            if last_line.is_some_and(|last| last + 1 < line) {
                self.paint(out, BLUE, "...")?;
                out.push('\n');
            }
            last_line = Some(line);
            let source = self.lines.line_text(line);
            let size = if fits(source) { group.len() } else { 1 };
            for marks in group.chunks(size) {
                self.source(out, source, marks, n_digits)?;
            }
        }
        Ok(())
    }

    fn source(&self, out: &mut String, source: &str, marks: &[Mark<'_>], n_digits: usize) -> fmt::Result {
        let shown = ShownLine::new(source, marks[0].span.start);
        self.gutter(out, n_digits, &marks[0].line.to_string(), "|")?;
        // A line break alone, so that no line of the report ends with spaces.
        writeln!(out, "{}", format!(" {}", shown.text).trim_end())?;
        for mark in marks {
            let (first, n_cells) = shown.cells(mark.span);
            let (sign, color) = if mark.is_primary { ("^", self.primary_color()) } else { ("-", BLUE) };
            let underline = format!("{} {}", sign.repeat(n_cells), mark.message);
            self.gutter(out, n_digits, "", "|")?;
            write!(out, " {:first$}", "")?;
            self.paint(out, color, underline.trim_end())?;
            out.push('\n');
        }
        Ok(())
    }

    fn gutter(&self, out: &mut String, n_digits: usize, number: &str, sign: &str) -> fmt::Result {
        self.paint(out, BLUE, &format!("{number:>n_digits$} {sign}"))
    }

    const fn primary_color(&self) -> &'static str {
        match self.diagnostic.severity {
            Severity::Error => RED,
            Severity::Warning => YELLOW,
        }
    }

    fn paint(&self, out: &mut String, color: &str, text: &str) -> fmt::Result {
        if self.color { write!(out, "\u{1B}[{color}m{text}\u{1B}[0m") } else { out.write_str(text) }
    }
}
