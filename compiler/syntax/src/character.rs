//! Which characters are spaces, line breaks, parts of a bare word, or not allowed at all.
//!
//! Source: the KDL 2.0 specification, sections "Whitespace", "Newline", "Identifier String" and "Disallowed Literal
//! Code Points".

/// A byte order mark; allowed as the first character only.
pub(crate) const BYTE_ORDER_MARK: char = '\u{FEFF}';

/// Whether it is a space that does not break a line.
pub(crate) const fn is_space(character: char) -> bool {
    matches!(
        character,
        '\t' | ' ' | '\u{A0}' | '\u{1680}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{205F}' | '\u{3000}'
    )
}

/// Whether it breaks a line; a carriage return with a line feed after it is one break.
pub(crate) const fn is_newline(character: char) -> bool {
    matches!(character, '\n' | '\r' | '\u{B}' | '\u{C}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Whether it may not stand in a document, not even in a comment or a string.
///
/// These are control characters and marks that turn the direction of the text, so that a reader could be shown
/// something else than what the file says.
pub(crate) const fn is_disallowed(character: char) -> bool {
    matches!(
        character,
        '\0'..='\u{8}'
            | '\u{E}'..='\u{1F}'
            | '\u{7F}'
            | '\u{200E}'..='\u{200F}'
            | '\u{202A}'..='\u{202E}'
            | '\u{2066}'..='\u{2069}'
            | BYTE_ORDER_MARK
    )
}

/// Whether it may stand in a bare word.
pub(crate) const fn is_word(character: char) -> bool {
    let is_syntax =
        matches!(character, '(' | ')' | '{' | '}' | '[' | ']' | '/' | '\\' | '"' | '#' | ';' | '=');
    !(is_syntax || is_space(character) || is_newline(character) || is_disallowed(character))
}

/// Splits a line break off the front: its length in bytes, 0 if there is none.
pub(crate) fn newline_len(text: &str) -> usize {
    if text.starts_with("\r\n") {
        return 2;
    }
    text.chars().next().filter(|&first| is_newline(first)).map_or(0, char::len_utf8)
}
