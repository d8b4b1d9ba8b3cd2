//! Tokens of a query.

use std::ops::Range;

use crate::query::error::QueryError;

/// A word or sign, and its span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: TokenKind<'a>,
    pub(crate) span: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind<'a> {
    Word(&'a str),
    Open,
    Close,
    Comma,
    Plus,
    Minus,
    Caret,
}

/// Splits a query into tokens.
///
/// `+` and `-` are operators only where a word could begin, because target names may contain both.
///
/// # Errors
/// [`QueryError`] at the first character that no token can begin with, or at an unclosed quote.
pub(crate) fn tokens(text: &str) -> Result<Vec<Token<'_>>, QueryError> {
    let mut tokens = Vec::new();
    let mut rest = text.char_indices().peekable();
    while let Some((start, c)) = rest.next() {
        let kind = match c {
            c if c.is_whitespace() => continue,
            '(' => TokenKind::Open,
            ')' => TokenKind::Close,
            ',' => TokenKind::Comma,
            '+' => TokenKind::Plus,
            '-' => TokenKind::Minus,
            '^' => TokenKind::Caret,
            '"' | '\'' => {
                let Some((end, _)) = rest.find(|&(_, next)| next == c) else {
                    let message = format!("The quote `{c}` is not closed");
                    return Err(QueryError::new(start..text.len(), message));
                };
                tokens.push(Token { kind: TokenKind::Word(&text[start + 1..end]), span: start..end + 1 });
                continue;
            }
            c if is_word(c) => {
                let mut end = start + c.len_utf8();
                while let Some((at, c)) = rest.next_if(|&(_, c)| is_word(c) || c == '+' || c == '-') {
                    end = at + c.len_utf8();
                }
                tokens.push(Token { kind: TokenKind::Word(&text[start..end]), span: start..end });
                continue;
            }
            other => {
                let message = format!("`{other}` has no meaning in a query");
                return Err(QueryError::new(start..start + other.len_utf8(), message)
                    .help("A query is made of labels, functions such as `deps(…)`, and `+`, `-`, `^`"));
            }
        };
        tokens.push(Token { kind, span: start..start + c.len_utf8() });
    }
    Ok(tokens)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || "/:._*@".contains(c)
}
