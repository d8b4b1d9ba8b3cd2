//! The layout of a source line on a screen: the cells of its characters, and the visible part of a long line.

use crate::span::Span;
use crate::terminal::{is_steering, printable};

const TAB: &str = "    ";

/// Maximum number of cells shown of a line.
const MAX_CELLS: usize = 120;

/// Maximum number of characters: many take no cell.
const MAX_CHARS: usize = 4 * MAX_CELLS;

/// Number of cells shown before the first mark of a truncated line.
const LEAD_CELLS: usize = 40;

const CUT: &str = "...";

/// A line for display, and the cells of its spans.
#[derive(Debug)]
pub(crate) struct ShownLine {
    pub(crate) text: String,
    /// The byte offset of each shown character and its first cell; then the end of the shown part.
    cells: Vec<(usize, usize)>,
}

impl ShownLine {
    /// Shows `line`, or the part around the byte `focus` if it is too long.
    pub(crate) fn new(line: &str, focus: usize) -> Self {
        let first = if fits(line) { 0 } else { first_shown(line, focus) };
        let mut text = if first > 0 { CUT.to_owned() } else { String::new() };
        let mut cell = text.len();
        let mut cells = Vec::new();
        let mut end = line.len();
        for (at, character) in line[first..].char_indices() {
            let at = first + at;
            if cell >= MAX_CELLS || cells.len() >= MAX_CHARS {
                text.push_str(CUT);
                end = at;
                break;
            }
            cells.push((at, cell));
            cell += show(character, &mut text);
        }
        cells.push((end, cell));
        Self { text, cells }
    }

    /// The first cell of a span and its number of cells, at least one; bytes count from the start of the line.
    pub(crate) fn cells(&self, span: Span) -> (usize, usize) {
        let start = self.cell(span.start);
        (start, self.cell(span.end).saturating_sub(start).max(1))
    }

    fn cell(&self, byte: usize) -> usize {
        let index = self.cells.partition_point(|&(at, _)| at < byte);
        self.cells.get(index).or(self.cells.last()).map_or(0, |&(_, cell)| cell)
    }
}

/// Returns true if a line can be shown completely.
pub(crate) fn fits(line: &str) -> bool {
    let mut n_cells = 0;
    for (index, character) in line.chars().enumerate() {
        n_cells += width(character);
        if n_cells > MAX_CELLS || index >= MAX_CHARS {
            return false;
        }
    }
    true
}

/// The byte offset from which a long line is shown.
fn first_shown(line: &str, focus: usize) -> usize {
    let before = line[..focus.min(line.len())].char_indices().rev();
    let mut n_cells = 0;
    for (index, (at, character)) in before.enumerate() {
        n_cells += width(character);
        if n_cells > LEAD_CELLS || index >= MAX_CHARS / 2 {
            return at + character.len_utf8();
        }
    }
    0
}

/// A text in one line of at most so many cells, escaped; what does not fit is cut off at the end, with `…` in its place.
#[must_use]
pub fn fitted(text: &str, n_cells: usize) -> String {
    let text = printable(text);
    let (mut fitted, mut n_taken) = (String::new(), 0);
    for (at, character) in text.char_indices() {
        let n_wanted = n_taken + width(character);
        // The last cell is for the mark, unless nothing follows.
        let is_last = at + character.len_utf8() == text.len();
        if n_wanted > n_cells || n_wanted == n_cells && !is_last {
            // A text of one cell less than this character needs has room for the mark, too.
            if n_cells > 0 {
                fitted.push('…');
            }
            return fitted;
        }
        fitted.push(character);
        n_taken = n_wanted;
    }
    fitted
}

fn show(character: char, shown: &mut String) -> usize {
    match character {
        '\t' => shown.push_str(TAB),
        _ => shown.push_str(&printable(character.encode_utf8(&mut [0; 4]))),
    }
    width(character)
}

/// Number of cells of a character on most screens. Only the common ranges of wide characters are known; a caret that is
/// off by one does no harm.
fn width(character: char) -> usize {
    match character {
        '\t' => TAB.len(),
        // In the report about it, a character that controls the terminal is shown as its escape.
        _ if is_steering(character) => character.escape_default().len(),
        '\u{300}'..='\u{36F}' | '\u{200C}'..='\u{200D}' | '\u{FE00}'..='\u{FE0F}' => 0,
        '\u{1100}'..='\u{115F}'
        | '\u{2E80}'..='\u{303E}'
        | '\u{3041}'..='\u{A4CF}'
        | '\u{AC00}'..='\u{D7A3}'
        | '\u{F900}'..='\u{FAFF}'
        | '\u{FF00}'..='\u{FF60}'
        | '\u{1F300}'..='\u{1F64F}'
        | '\u{1F680}'..='\u{1F6FF}'
        | '\u{1F900}'..='\u{1F9FF}'
        | '\u{20000}'..='\u{3FFFD}' => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_at_the_cells_that_there_are() {
        assert_eq!(fitted("abcdef", 6), "abcdef");
        assert_eq!(fitted("abcdef", 4), "abc…");
        assert_eq!([fitted("ab", 1), fitted("ab", 0)], ["…", ""]);
        // Two cells each.
        assert_eq!(
            [fitted("日本語", 6), fitted("日本語", 5), fitted("日本語", 4)],
            ["日本語", "日本…", "日…"]
        );
        assert_eq!(fitted("a\u{1b}b", 8), "a\\u{1b}b");
        assert_eq!(fitted("a\u{1b}b", 4), "a\\u…");
    }
}
