//! Text from files that others made, safe to print: no byte of it can steer the terminal.

/// The text with control characters (escape, bell, line breaks, text-direction marks) shown as escapes.
pub(crate) fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        let is_direction_mark = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if character.is_control() || is_direction_mark {
            safe.extend(character.escape_default());
        } else {
            safe.push(character);
        }
    }
    safe
}

/// At most `n_max` characters of the printable text, with `…` where some were left out.
pub(crate) fn abbreviated(text: &str, n_max: usize) -> String {
    let mut safe: String = printable(&text.chars().take(n_max + 1).collect::<String>());
    if text.chars().count() > n_max {
        safe = safe.chars().take(n_max).collect();
        safe.push('…');
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_and_not_obeyed() {
        assert_eq!(printable("a\u{1b}[2Jb\nc\u{202e}d é"), "a\\u{1b}[2Jb\\nc\\u{202e}d é");
    }

    #[test]
    fn long_text_is_cut() {
        assert_eq!(abbreviated("abcdef", 3), "abc…");
        assert_eq!(abbreviated("abc", 3), "abc");
    }
}
