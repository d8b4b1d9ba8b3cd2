//! Converts byte offsets of a text to lines and columns.

use crate::character::{is_newline, newline_len};

/// A line and a column, both counted from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineColumn {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// The starts of the lines of a text.
///
/// Created once per text, in linear time. The line of a byte then takes a binary search, and its column reads at most
/// two strides of the text, however long the line is.
#[derive(Clone, Debug)]
pub struct LineIndex<'a> {
    text: &'a str,
    starts: Vec<usize>,
    /// Number of characters that start before each multiple of [`STRIDE`].
    n_chars: Vec<usize>,
}

const STRIDE: usize = 1 << 10;

impl<'a> LineIndex<'a> {
    /// Finds the lines of `text`, using all line breaks of KDL.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        let mut starts = vec![0];
        let mut at = 0;
        while let Some(offset) = text[at..].find(is_newline) {
            at += offset;
            at += newline_len(&text[at..]);
            starts.push(at);
        }
        let mut n_chars = vec![0];
        for stride in text.as_bytes().chunks(STRIDE) {
            n_chars.push(n_chars[n_chars.len() - 1] + n_begun(stride));
        }
        Self { text, starts, n_chars }
    }

    /// Number of lines; a text that ends with a line break has an empty line after it.
    #[must_use]
    pub const fn n_lines(&self) -> usize {
        self.starts.len()
    }

    /// The line and the column of a byte; an offset beyond the end counts as the end.
    #[must_use]
    pub fn line_column(&self, offset: usize) -> LineColumn {
        let offset = offset.min(self.text.len());
        let line = self.starts.partition_point(|&start| start <= offset);
        let column = self.chars_before(offset) - self.chars_before(self.starts[line - 1]) + 1;
        LineColumn { line, column }
    }

    fn chars_before(&self, offset: usize) -> usize {
        let stride = offset / STRIDE;
        self.n_chars[stride] + n_begun(&self.text.as_bytes()[stride * STRIDE..offset])
    }

    /// The start of a line; `line` counts from 1 and is at most [`Self::n_lines`].
    #[must_use]
    pub fn line_start(&self, line: usize) -> usize {
        self.starts[line - 1]
    }

    /// The text of a line without its line break; `line` counts from 1 and is at most [`Self::n_lines`].
    #[must_use]
    pub fn line_text(&self, line: usize) -> &'a str {
        let end = self.starts.get(line).copied().unwrap_or(self.text.len());
        let written = &self.text[self.line_start(line)..end];
        // A break has at most two characters, and no other break precedes it on the line.
        written.strip_suffix("\r\n").unwrap_or_else(|| written.strip_suffix(is_newline).unwrap_or(written))
    }
}

/// Number of characters that start in the bytes.
fn n_begun(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&byte| byte & 0b1100_0000 != 0b1000_0000).count()
}

#[cfg(test)]
mod tests {
    use super::{LineColumn, LineIndex, STRIDE};

    #[test]
    fn lines_and_columns_count_from_one_and_columns_count_characters() {
        let index = LineIndex::new("ä=1\r\nzwei\n\ndrei");
        let at = |offset| index.line_column(offset);
        assert_eq!(at(0), LineColumn { line: 1, column: 1 });
        assert_eq!(at(2), LineColumn { line: 1, column: 2 });
        assert_eq!(at(6), LineColumn { line: 2, column: 1 });
        assert_eq!(at(11), LineColumn { line: 3, column: 1 });
        assert_eq!(at(16), LineColumn { line: 4, column: 5 });
        assert_eq!(at(99), LineColumn { line: 4, column: 5 });
    }

    #[test]
    fn columns_of_a_long_line_are_counted_across_strides() {
        let text = format!("x\n{}", "aé日".repeat(STRIDE));
        let index = LineIndex::new(&text);
        for (column, (at, _)) in text[2..].char_indices().enumerate() {
            assert_eq!(index.line_column(2 + at), LineColumn { line: 2, column: column + 1 });
        }
        assert_eq!(index.line_column(text.len()), LineColumn { line: 2, column: 3 * STRIDE + 1 });
    }

    #[test]
    fn the_text_of_a_line_is_without_its_break() {
        let index = LineIndex::new("a\r\nb\rc\u{2028}d\n");
        let lines: Vec<&str> = (1..=index.n_lines()).map(|line| index.line_text(line)).collect();
        assert_eq!(lines, ["a", "b", "c", "d", ""]);
    }

    #[test]
    fn an_empty_text_has_one_empty_line() {
        let index = LineIndex::new("");
        assert_eq!((index.n_lines(), index.line_text(1)), (1, ""));
        assert_eq!(index.line_column(0), LineColumn { line: 1, column: 1 });
    }
}
