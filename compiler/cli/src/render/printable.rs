//! Shortens names and values from untrusted files to one line of a listing.

use mc_syntax::terminal::printable;

/// At most `n_max` characters of the text in one line, with `…` for the omitted rest.
pub(crate) fn abbreviated(text: &str, n_max: usize) -> String {
    let end = text.char_indices().nth(n_max).map_or(text.len(), |(end, _)| end);
    let mut safe: String = printable(&text[..end]).chars().take(n_max).collect();
    if end < text.len() {
        safe.push('…');
    }
    safe
}

/// The text in at most `n_max` columns. A longer text loses its middle to `…`, because related names differ at their
/// ends.
pub(crate) fn cut(text: &str, n_max: usize) -> String {
    let n_chars = text.chars().count();
    if n_chars <= n_max {
        return text.to_owned();
    }
    let n_kept = n_max.saturating_sub(1);
    let n_before = n_kept / 2;
    let before = text.chars().take(n_before);
    let after = text.chars().skip(n_chars - (n_kept - n_before));
    before.chain(std::iter::once('…')).chain(after).collect()
}

/// A label in at most `n_max` columns. Shortens the package first, which neighboring labels usually share.
pub(crate) fn cut_label(label: &str, n_max: usize) -> String {
    match label.split_once(':') {
        Some((_, name)) if label.chars().count() > n_max => {
            format!("…:{}", cut(name, n_max.saturating_sub(2)))
        }
        _ => label.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_keeps_its_end() {
        assert_eq!(cut("//models:roadtrip-q4km", 12), "//mod…p-q4km");
        assert_eq!(cut_label("//models:roadtrip-q4km", 20), "…:roadtrip-q4km");
        assert_eq!(cut_label("//models:roadtrip-q4km", 12), "…:road…-q4km");
        assert_eq!(cut_label("//models:a", 12), "//models:a");
        assert_eq!(cut("//models:roadtrip-q4km", 12).chars().count(), 12);
        assert_eq!(cut("//models:a", 12), "//models:a");
        assert_eq!(cut("abc", 1), "…");
    }

    #[test]
    fn long_text_is_cut() {
        assert_eq!(abbreviated("abcdef", 3), "abc…");
        assert_eq!(abbreviated("abc", 3), "abc");
        assert_eq!(abbreviated("\u{1b}\n", 9), "\\u{1b}\\n");
    }
}
