//! Aligned columns.

use mc_syntax::terminal::printable;

/// Alignment of a column's cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// Left, for text.
    Left,
    /// Right, for numbers.
    Right,
}

/// Formats rows in aligned columns, two spaces apart, one line each, without trailing spaces. Escapes cells before it
/// measures them, because an escape takes columns.
pub(crate) fn table(columns: &[Align], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<_>> = rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
    let mut widths = vec![0; columns.len()];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for ((cell, &width), column) in row.iter().zip(&widths).zip(columns) {
            if !line.is_empty() {
                line.push_str("  ");
            }
            match column {
                Align::Left => line.push_str(&format!("{cell:<width$}")),
                Align::Right => line.push_str(&format!("{cell:>width$}")),
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = [vec!["a".to_owned(), "10".to_owned()], vec!["long".to_owned(), "9".to_owned()]];
        assert_eq!(table(&[Align::Left, Align::Right], &rows), "a     10\nlong   9\n");
        let rows = [vec!["\n".to_owned(), "10".to_owned()], vec!["abc".to_owned(), "9".to_owned()]];
        assert_eq!(table(&[Align::Left, Align::Right], &rows), "\\n   10\nabc   9\n");
    }
}
