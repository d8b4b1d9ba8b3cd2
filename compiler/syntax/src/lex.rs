//! Splits a text into tokens. Every byte belongs to exactly one token, so concatenating the tokens gives the text.
//!
//! The lexer reports no errors: invalid text becomes a token of an `Unclosed` or `Stray` kind, and `grammar` reports
//! it. The lexer reads each byte a bounded number of times.

use crate::character::{BYTE_ORDER_MARK, is_disallowed, is_newline, is_space, is_word, newline_len};
use crate::span::Span;

/// The kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// A byte order mark as the first character.
    ByteOrderMark,
    /// Spaces and tabs.
    Space,
    /// One line break.
    Newline,
    /// `// ...`, without the line break.
    LineComment,
    /// `/* ... */`, including nested ones.
    BlockComment,
    /// A block comment without an end.
    UnclosedBlockComment,
    /// `\`, spaces, a comment, and the ignored line break.
    Continuation,
    /// A `\` that is not followed by a line break.
    StrayBackslash,
    /// `/-`.
    Slashdash,
    /// `{`.
    OpenBrace,
    /// `}`.
    CloseBrace,
    /// `(`.
    OpenParen,
    /// `)`.
    CloseParen,
    /// `=`.
    Equals,
    /// `;`.
    Semicolon,
    /// A bare word: an identifier or a number.
    Word,
    /// `#` and a word, such as `#true`.
    Keyword,
    /// `"..."`.
    String,
    /// `"""..."""`.
    MultilineString,
    /// `#"..."#`, with any number of `#`.
    RawString,
    /// `#"""..."""#`, with any number of `#`.
    RawMultilineString,
    /// A string, raw or not, without an end on its line.
    UnclosedString,
    /// A multi-line string, raw or not, without an end.
    UnclosedMultilineString,
    /// Characters without a meaning in KDL, such as `[`.
    Stray,
    /// The end of the text; empty.
    End,
}

/// A token of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its kind.
    pub kind: TokenKind,
    /// Its location.
    pub span: Span,
}

/// All tokens of a text, without the empty one at the end.
pub fn tokens(text: &str) -> impl Iterator<Item = Token> {
    let mut lexer = Lexer::new(text);
    std::iter::from_fn(move || Some(lexer.next_token()).filter(|token| token.kind != TokenKind::End))
}

/// Reads one token after another.
#[derive(Clone, Debug)]
pub(crate) struct Lexer<'a> {
    text: &'a str,
    position: usize,
}

impl<'a> Lexer<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { text, position: 0 }
    }

    /// The next token; at the end of the text always [`TokenKind::End`].
    pub(crate) fn next_token(&mut self) -> Token {
        let start = self.position;
        let kind = self.cut();
        debug_assert!(self.position > start || kind == TokenKind::End);
        Token { kind, span: Span::new(start, self.position) }
    }

    fn cut(&mut self) -> TokenKind {
        let Some(first) = self.peek() else { return TokenKind::End };
        match first {
            BYTE_ORDER_MARK if self.position == 0 => self.take(first.len_utf8(), TokenKind::ByteOrderMark),
            '{' => self.take(1, TokenKind::OpenBrace),
            '}' => self.take(1, TokenKind::CloseBrace),
            '(' => self.take(1, TokenKind::OpenParen),
            ')' => self.take(1, TokenKind::CloseParen),
            '=' => self.take(1, TokenKind::Equals),
            ';' => self.take(1, TokenKind::Semicolon),
            '/' => self.slash(),
            '\\' => self.backslash(),
            '"' => self.string(),
            '#' => self.hash(),
            _ if is_space(first) => self.take_while(is_space, TokenKind::Space),
            _ if is_newline(first) => self.take(newline_len(self.rest()), TokenKind::Newline),
            _ if is_word(first) => self.take_while(is_word, TokenKind::Word),
            _ => self.take_while(|next| is_disallowed(next) || matches!(next, '[' | ']'), TokenKind::Stray),
        }
    }

    fn slash(&mut self) -> TokenKind {
        match self.rest().as_bytes().get(1) {
            Some(b'-') => self.take(2, TokenKind::Slashdash),
            Some(b'/') => self.take_while(|next| !is_newline(next), TokenKind::LineComment),
            Some(b'*') if self.block_comment() => TokenKind::BlockComment,
            Some(b'*') => TokenKind::UnclosedBlockComment,
            _ => self.take(1, TokenKind::Stray),
        }
    }

    /// Skips a block comment; returns true if it is closed.
    fn block_comment(&mut self) -> bool {
        let bytes = self.text.as_bytes();
        let mut depth = 0_usize;
        while let Some(pair) = bytes.get(self.position..self.position + 2) {
            match pair {
                b"/*" => depth += 1,
                b"*/" => depth -= 1,
                _ => {
                    self.position += 1;
                    continue;
                }
            }
            self.position += 2;
            if depth == 0 {
                return true;
            }
        }
        self.position = self.text.len();
        false
    }

    fn backslash(&mut self) -> TokenKind {
        let start = self.position;
        self.position += 1;
        loop {
            self.take_while(is_space, TokenKind::Space);
            if !(self.rest().starts_with("/*") && self.block_comment()) {
                break;
            }
        }
        if self.rest().starts_with("//") {
            self.take_while(|next| !is_newline(next), TokenKind::LineComment);
        }
        let newline = newline_len(self.rest());
        if newline == 0 && !self.rest().is_empty() {
            self.position = start;
            return self.take(1, TokenKind::StrayBackslash);
        }
        self.take(newline, TokenKind::Continuation)
    }

    fn string(&mut self) -> TokenKind {
        if self.rest().starts_with("\"\"\"") {
            self.position += 3;
            return self.multiline_string();
        }
        self.position += 1;
        while let Some(next) = self.peek() {
            match next {
                '"' => return self.take(1, TokenKind::String),
                '\\' => self.escape(),
                _ if is_newline(next) => break,
                _ => self.position += next.len_utf8(),
            }
        }
        TokenKind::UnclosedString
    }

    /// Skips `\` and the character after it, or all the spaces and line breaks after it.
    fn escape(&mut self) {
        self.position += 1;
        match self.peek() {
            Some(next) if is_space(next) || is_newline(next) => {
                self.take_while(|next| is_space(next) || is_newline(next), TokenKind::Space);
            }
            Some(next) => self.position += next.len_utf8(),
            None => {}
        }
    }

    fn multiline_string(&mut self) -> TokenKind {
        while let Some(at) = self.rest().find(['"', '\\']) {
            self.position += at;
            if self.rest().starts_with('\\') {
                self.escape();
            } else if self.rest().starts_with("\"\"\"") {
                return self.take(3, TokenKind::MultilineString);
            } else {
                self.position += 1;
            }
        }
        self.position = self.text.len();
        TokenKind::UnclosedMultilineString
    }

    fn hash(&mut self) -> TokenKind {
        let rest = self.rest();
        let n_hashes = leading_hashes(rest);
        if !rest[n_hashes..].starts_with('"') {
            self.position += n_hashes;
            return self.take_while(is_word, TokenKind::Keyword);
        }
        let is_multiline = rest[n_hashes..].starts_with("\"\"\"");
        self.position += n_hashes + if is_multiline { 3 } else { 1 };
        if is_multiline { self.raw_multiline_string(n_hashes) } else { self.raw_string(n_hashes) }
    }

    fn raw_string(&mut self, n_hashes: usize) -> TokenKind {
        let rest = self.rest();
        let mut at = 0;
        // The search ends at the line break but does not look for the break first: a line may have many strings.
        while let Some(found) = rest[at..].find(|next| next == '"' || is_newline(next)) {
            at += found;
            if !rest[at..].starts_with('"') {
                return self.take(at, TokenKind::UnclosedString);
            }
            at += 1;
            let n_found = leading_hashes(&rest[at..]).min(n_hashes);
            at += n_found;
            if n_found == n_hashes {
                return self.take(at, TokenKind::RawString);
            }
        }
        self.take(rest.len(), TokenKind::UnclosedString)
    }

    fn raw_multiline_string(&mut self, n_hashes: usize) -> TokenKind {
        let rest = self.rest();
        let mut at = 0;
        while let Some(quote) = rest[at..].find('"') {
            at += quote;
            let n_quotes = rest[at..].bytes().take_while(|&byte| byte == b'"').count();
            at += n_quotes;
            let n_found = leading_hashes(&rest[at..]).min(n_hashes);
            at += n_found;
            if n_quotes >= 3 && n_found == n_hashes {
                return self.take(at, TokenKind::RawMultilineString);
            }
        }
        self.take(rest.len(), TokenKind::UnclosedMultilineString)
    }

    fn rest(&self) -> &'a str {
        &self.text[self.position..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    const fn take(&mut self, len: usize, kind: TokenKind) -> TokenKind {
        self.position += len;
        kind
    }

    fn take_while(&mut self, is_part: impl Fn(char) -> bool, kind: TokenKind) -> TokenKind {
        let rest = self.rest();
        self.position += rest.find(|next| !is_part(next)).unwrap_or(rest.len());
        kind
    }
}

fn leading_hashes(text: &str) -> usize {
    text.bytes().take_while(|&byte| byte == b'#').count()
}
