//! Decodes string tokens: removes quotes, replaces escapes, dedents multi-line strings.
//!
//! Source: the KDL 2.0 specification, sections "Quoted String", "Multi-line String" and "Raw String".

use crate::character::{is_newline, is_space, newline_len};
use crate::diagnostic::Diagnostic;
use crate::lex::{Token, TokenKind};
use crate::sink::Sink;
use crate::span::Span;

const CODE: &str = "kdl::string";

/// Returns true if a token is a quoted string, closed or not.
pub(crate) const fn is_string(kind: TokenKind) -> bool {
    matches!(
        kind,
        TokenKind::String
            | TokenKind::MultilineString
            | TokenKind::RawString
            | TokenKind::RawMultilineString
            | TokenKind::UnclosedString
            | TokenKind::UnclosedMultilineString
    )
}

/// The text of a string token; errors in it go to `sink`.
pub(crate) fn string(text: &str, token: Token, sink: &mut Sink) -> String {
    let written = token.span.of(text);
    let n_hashes = written.bytes().take_while(|&byte| byte == b'#').count();
    let n_quotes = if is_multiline(token.kind) { 3 } else { 1 };
    let is_closed = !matches!(token.kind, TokenKind::UnclosedString | TokenKind::UnclosedMultilineString);
    let start = token.span.start + n_hashes + n_quotes;
    let end = if is_closed { token.span.end - n_hashes - n_quotes } else { token.span.end };
    let body = Body { text: &text[start..end], start, is_raw: n_hashes > 0, opening: token.span };
    if !is_closed {
        sink.push(unclosed(token, n_hashes, n_quotes));
        return body.text.to_owned();
    }
    if is_multiline(token.kind) { body.multiline(sink) } else { body.single_line(sink) }
}

const fn is_multiline(kind: TokenKind) -> bool {
    matches!(
        kind,
        TokenKind::MultilineString | TokenKind::RawMultilineString | TokenKind::UnclosedMultilineString
    )
}

fn unclosed(token: Token, n_hashes: usize, n_quotes: usize) -> Diagnostic {
    let hashes = "#".repeat(n_hashes.min(8));
    let quotes = "\"".repeat(n_quotes);
    let opening = Span::new(token.span.start, token.span.start + n_hashes + n_quotes);
    if n_quotes == 3 {
        let message = format!("Expected `{quotes}{hashes}` to close the string, found the end of the file");
        let help = format!("Write `{quotes}{hashes}` on a line of its own after the text");
        return Diagnostic::error(CODE, message, opening).with_help(help);
    }
    let message = format!("Expected `{quotes}{hashes}` to close the string, found the end of the line");
    let help = format!(
        "Add `{quotes}{hashes}`; put text of several lines between `{hashes}\"\"\"` and `\"\"\"{hashes}`, each on a line of its own"
    );
    Diagnostic::error(CODE, message, token.span).with_help(help)
}

/// The text between the quotes.
struct Body<'a> {
    text: &'a str,
    /// Its start in the file.
    start: usize,
    is_raw: bool,
    /// The whole token.
    opening: Span,
}

/// A line of a multi-line string, and its start in the file.
struct Line {
    text: String,
    start: usize,
}

impl Body<'_> {
    fn single_line(&self, sink: &mut Sink) -> String {
        if self.is_raw {
            return self.text.to_owned();
        }
        check_escapes(self.text, self.start, sink);
        unescape(self.text)
    }

    fn multiline(&self, sink: &mut Sink) -> String {
        let first = newline_len(self.text);
        if first == 0 {
            let message = "Expected a line break after `\"\"\"`, found text on the same line";
            let help = "Begin the text on the next line, or use one quote for a string of one line";
            sink.push(Diagnostic::error(CODE, message, self.opening).with_help(help));
            return self.text.to_owned();
        }
        if !self.is_raw {
            check_escapes(self.text, self.start, sink);
        }
        let mut lines = self.lines(first);
        let last = lines.pop().expect("splitting gives one line at least");
        if !last.text.chars().all(is_space) {
            let span = Span::new(last.start, self.start + self.text.len());
            let message = "Expected the closing `\"\"\"` on a line of its own, found text before it";
            let help =
                "Put `\"\"\"` on a new line; the spaces before it are removed from every line of the text";
            sink.push(Diagnostic::error(CODE, message, span).with_help(help));
            return self.text.to_owned();
        }
        let lines: Vec<String> = lines.iter().map(|line| self.dedent(line, &last, sink)).collect();
        lines.join("\n")
    }

    /// The lines after the first break; a whitespace escape joins two lines.
    fn lines(&self, first: usize) -> Vec<Line> {
        let mut lines = vec![Line { text: String::new(), start: self.start + first }];
        let mut at = first;
        while let Some(next) = self.text[at..].chars().next() {
            let line = lines.last_mut().expect("there is one from the beginning");
            let rest = &self.text[at..];
            let newline = newline_len(rest);
            if newline > 0 {
                at += newline;
                lines.push(Line { text: String::new(), start: self.start + at });
            } else if next == '\\' && !self.is_raw {
                let blank = blank_len(&rest[1..]);
                if blank > 0 {
                    at += 1 + blank;
                } else {
                    let escaped = rest[1..].chars().next().map_or(0, char::len_utf8);
                    line.text.push_str(&rest[..1 + escaped]);
                    at += 1 + escaped;
                }
            } else {
                line.text.push(next);
                at += next.len_utf8();
            }
        }
        lines
    }

    fn dedent(&self, line: &Line, last: &Line, sink: &mut Sink) -> String {
        if line.text.chars().all(is_space) {
            return String::new();
        }
        let Some(text) = line.text.strip_prefix(&last.text) else {
            let indent = line.text.len() - line.text.trim_start_matches(is_space).len();
            let span = Span::new(line.start, line.start + indent);
            let message = "Expected the line to begin with the same spaces as the closing `\"\"\"`";
            let closing = Span::new(last.start, last.start + last.text.len());
            let help = "Indent the line at least as far as the closing quotes, with the same spaces or tabs";
            let diagnostic = Diagnostic::error(CODE, message, span);
            sink.push(
                diagnostic.with_label(closing, "These spaces are removed from every line").with_help(help),
            );
            return line.text.clone();
        };
        if self.is_raw { text.to_owned() } else { unescape(text) }
    }
}

/// The length of the leading spaces and line breaks.
fn blank_len(text: &str) -> usize {
    text.find(|next| !(is_space(next) || is_newline(next))).unwrap_or(text.len())
}

/// The meaning of a backslash and the text after it, and the number of bytes of that text.
enum Escape {
    Character(char, usize),
    Blank(usize),
    Wrong { len: usize, message: String, help: &'static str },
}

fn escape(rest: &str) -> Escape {
    let Some(first) = rest.chars().next() else { return Escape::Blank(0) };
    let character = match first {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'b' => '\u{8}',
        'f' => '\u{C}',
        's' => ' ',
        '\\' | '"' => first,
        'u' => return unicode_escape(rest),
        _ if is_space(first) || is_newline(first) => return Escape::Blank(blank_len(rest)),
        _ => {
            let help = match first {
                '/' => "KDL 2 has no escape for `/`; write it without the backslash",
                'x' | '0' => "Write a character by its number as `\\u{41}`",
                _ => {
                    "The escapes are `\\n \\r \\t \\\\ \\\" \\b \\f \\s \\u{...}`; write `\\\\` for a backslash, or use a raw string `#\"...\"#`"
                }
            };
            let message = format!("Expected an escape, found `\\{first}`");
            return Escape::Wrong { len: first.len_utf8(), message, help };
        }
    };
    Escape::Character(character, first.len_utf8())
}

fn unicode_escape(rest: &str) -> Escape {
    const HELP: &str =
        "A character is written by its number, with 1 to 6 hexadecimal digits in braces: `\\u{1F600}`";
    let Some(inner) = rest.strip_prefix("u{") else {
        return Escape::Wrong { len: 1, message: "Expected `{` after `\\u`".to_owned(), help: HELP };
    };
    let n_digits = inner.find(|next: char| !next.is_ascii_hexdigit()).unwrap_or(inner.len());
    let digits = &inner[..n_digits];
    let open = "u{".len() + n_digits;
    if !inner[n_digits..].starts_with('}') {
        let message = "Expected hexadecimal digits and `}` after `\\u{`".to_owned();
        return Escape::Wrong { len: open, message, help: HELP };
    }
    let len = open + 1;
    if !(1..=6).contains(&n_digits) {
        let message = format!("Expected 1 to 6 hexadecimal digits in `\\u{{...}}`, found {n_digits}");
        return Escape::Wrong { len, message, help: HELP };
    }
    let number = u32::from_str_radix(digits, 16).expect("six hexadecimal digits fit");
    char::from_u32(number).map_or_else(
        || {
            let message = format!("Expected the number of a character, found `{digits}`");
            let help = "Characters have the numbers `0` to `D7FF` and `E000` to `10FFFF`";
            Escape::Wrong { len, message, help }
        },
        |character| Escape::Character(character, len),
    )
}

fn check_escapes(text: &str, start: usize, sink: &mut Sink) {
    let mut at = 0;
    while let Some(backslash) = text[at..].find('\\') {
        let begin = at + backslash;
        at = begin + 1;
        at += match escape(&text[at..]) {
            Escape::Character(_, len) | Escape::Blank(len) => len,
            Escape::Wrong { len, message, help } => {
                let span = Span::new(start + begin, start + at + len);
                sink.push(Diagnostic::error("kdl::escape", message, span).with_help(help));
                len
            }
        };
    }
}

/// Replaces the escapes; an invalid one is left unchanged.
fn unescape(text: &str) -> String {
    let mut unescaped = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        unescaped.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let len = match escape(after) {
            Escape::Character(character, len) => {
                unescaped.push(character);
                len
            }
            Escape::Blank(len) => len,
            Escape::Wrong { len, .. } => {
                unescaped.push_str(&rest[at..at + 1 + len]);
                len
            }
        };
        rest = &after[len..];
    }
    unescaped.push_str(rest);
    unescaped
}
