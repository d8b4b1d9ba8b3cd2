//! Names and values from files that others made, in one line of a listing.

use mc_syntax::terminal::printable;

/// At most `n_max` characters of the text in one line, with `…` where some were left out.
pub(crate) fn abbreviated(text: &str, n_max: usize) -> String {
    let end = text.char_indices().nth(n_max).map_or(text.len(), |(end, _)| end);
    let mut safe: String = printable(&text[..end]).chars().take(n_max).collect();
    if end < text.len() {
        safe.push('…');
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_cut() {
        assert_eq!(abbreviated("abcdef", 3), "abc…");
        assert_eq!(abbreviated("abc", 3), "abc");
        assert_eq!(abbreviated("\u{1b}\n", 9), "\\u{1b}\\n");
    }
}
