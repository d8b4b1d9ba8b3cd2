//! Character classes: spaces, line breaks, characters of bare words, and disallowed characters.
//!
//! Source: the KDL 2.0 specification, sections "Whitespace", "Newline", "Identifier String" and "Disallowed Literal
//! Code Points".

/// A byte order mark; only allowed as the first character.
pub(crate) const BYTE_ORDER_MARK: char = '\u{FEFF}';

/// Returns true for a space that does not break a line.
pub(crate) const fn is_space(character: char) -> bool {
    matches!(
        character,
        '\t' | ' ' | '\u{A0}' | '\u{1680}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{205F}' | '\u{3000}'
    )
}

/// Returns true for a line break; a carriage return followed by a line feed is one break.
pub(crate) const fn is_newline(character: char) -> bool {
    matches!(character, '\n' | '\r' | '\u{B}' | '\u{C}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Returns true if the character is not allowed in a document, not even in a comment or a string.
///
/// These are control characters and marks that change the direction of the text, which could display something other
/// than what the file contains.
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

/// Returns true if the character is allowed in a bare word.
pub(crate) const fn is_word(character: char) -> bool {
    let is_syntax =
        matches!(character, '(' | ')' | '{' | '}' | '[' | ']' | '/' | '\\' | '"' | '#' | ';' | '=');
    !(is_syntax || is_space(character) || is_newline(character) || is_disallowed(character))
}

/// Length in bytes of a line break at the start of the text; 0 if there is none.
pub(crate) fn newline_len(text: &str) -> usize {
    if text.starts_with("\r\n") {
        return 2;
    }
    text.chars().next().filter(|&first| is_newline(first)).map_or(0, char::len_utf8)
}
