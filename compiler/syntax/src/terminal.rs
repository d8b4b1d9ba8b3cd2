//! Text for a terminal: none of its characters can control the terminal or deceive a reader.
//!
//! [`Markup::show`] is the only output function: it escapes every text and adds the color codes, which text cannot
//! contain. This module never writes; the command line does.

use std::borrow::Cow;
use std::fmt;

/// Returns true if a terminal would interpret the character instead of showing it, or would reorder or hide the text
/// around it.
///
/// These are the control characters except line feed and tab, the separators of lines and paragraphs, and the format
/// characters of Unicode (marks, overrides and isolates of direction, byte order marks, invisible operators, tags). Two
/// of the latter are allowed: the joiners U+200C and U+200D, which Persian, the scripts of India and emoji need.
///
/// Source: Unicode 16, general categories Cc, Cf, Zl and Zp, without the visible signs among Cf (such as U+0600).
#[must_use]
pub const fn is_steering(character: char) -> bool {
    match character {
        '\n' | '\t' => false,
        '\0'..='\u{1F}' | '\u{7F}'..='\u{9F}' => true,
        _ => matches!(
            character,
            '\u{AD}'
                | '\u{61C}'
                | '\u{180E}'
                | '\u{200B}'
                | '\u{200E}'..='\u{200F}'
                | '\u{2028}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}'
                | '\u{FEFF}'
                | '\u{FFF9}'..='\u{FFFB}'
                | '\u{1BCA0}'..='\u{1BCA3}'
                | '\u{1D173}'..='\u{1D17A}'
                | '\u{E0000}'..='\u{E00FF}'
                | '\u{E01F0}'..='\u{E0FFF}'
        ),
    }
}

/// The text with an escape in place of every control character, such as `\r` or `\u{1b}`; line feeds and tabs are kept.
#[must_use]
pub fn escaped(text: &str) -> Cow<'_, str> {
    replaced(text, is_steering)
}

/// The text on one line: like [`escaped`], but line feeds and tabs are escaped too. For a name within a line.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    replaced(text, |character| is_steering(character) || matches!(character, '\n' | '\t'))
}

fn replaced(text: &str, is_replaced: impl Fn(char) -> bool) -> Cow<'_, str> {
    let Some(first) = text.find(&is_replaced) else { return Cow::Borrowed(text) };
    let mut safe = String::with_capacity(text.len() + 8);
    safe.push_str(&text[..first]);
    for character in text[first..].chars() {
        if is_replaced(character) {
            safe.extend(character.escape_default());
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

/// Style of a piece of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// The most important text.
    Bold,
    /// Failures.
    Red,
    /// Success.
    Green,
    /// Warnings.
    Yellow,
    /// The frame around source lines.
    Blue,
    /// Words that lead a line.
    Cyan,
}

impl Paint {
    const fn code(self) -> &'static str {
        match self {
            Self::Bold => "1",
            Self::Red => "1;31",
            Self::Green => "1;32",
            Self::Yellow => "1;33",
            Self::Blue => "1;34",
            Self::Cyan => "36",
        }
    }
}

const RESET: &str = "0";

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// Unescaped text.
    Text(String),
    /// The parameters of a Select Graphic Rendition sequence: digits and semicolons.
    Code(Cow<'static, str>),
}

/// Text with colors. All text is escaped on output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Markup {
    pieces: Vec<Piece>,
}

impl Markup {
    /// Adds text without a color.
    pub fn text(&mut self, text: impl Into<String>) {
        self.pieces.push(Piece::Text(text.into()));
    }

    /// Adds text in a color.
    pub fn painted(&mut self, paint: Paint, text: impl Into<String>) {
        let code = |code| Piece::Code(Cow::Borrowed(code));
        self.pieces.extend([code(paint.code()), Piece::Text(text.into()), code(RESET)]);
    }

    /// Appends another text.
    pub fn append(&mut self, other: Self) {
        self.pieces.extend(other.pieces);
    }

    /// Reads text that a library has colored; any other control sequence in it is treated as text.
    ///
    /// The text must not contain control characters from untrusted sources, which could color it too.
    #[must_use]
    pub fn of_colored(text: &str) -> Self {
        let mut markup = Self::default();
        let mut rest = text;
        while let Some(at) = rest.find("\u{1B}[") {
            let after = &rest[at + 2..];
            let n_digits = after.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b';').count();
            if after[n_digits..].starts_with('m') {
                markup.text(&rest[..at]);
                markup.pieces.push(Piece::Code(Cow::Owned(after[..n_digits].to_owned())));
                rest = &after[n_digits + 1..];
            } else {
                markup.text(&rest[..at + 2]);
                rest = after;
            }
        }
        markup.text(rest);
        markup
    }

    /// The text for the terminal, with color codes if `color` is true.
    #[must_use]
    pub fn show(&self, color: bool) -> String {
        let mut shown = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => shown.push_str(&escaped(text)),
                Piece::Code(code) if color => {
                    shown.push_str("\u{1B}[");
                    shown.push_str(code);
                    shown.push('m');
                }
                Piece::Code(_) => {}
            }
        }
        shown
    }
}

impl From<String> for Markup {
    /// Text without a color.
    fn from(text: String) -> Self {
        Self { pieces: vec![Piece::Text(text)] }
    }
}

impl fmt::Display for Markup {
    /// Without colors.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.show(false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_as_escapes() {
        assert_eq!(escaped("a\u{1b}[2Jb\r\nc\u{202e}d é\t"), "a\\u{1b}[2Jb\\r\nc\\u{202e}d é\t");
        assert_eq!(printable("a\nb\tc"), "a\\nb\\tc");
        assert_eq!(escaped("\u{9b}31m\u{7f}\u{feff}\u{e0041}"), "\\u{9b}31m\\u{7f}\\u{feff}\\u{e0041}");
    }

    #[test]
    fn plain_text_of_any_script_stays() {
        for text in ["café", "日本語", "می‌خواهم", "👩‍👩‍👧 ❤️", "שלום", "한국어", "🏳️‍🌈", "a\u{301}"]
        {
            assert_eq!(escaped(text), text);
        }
    }

    #[test]
    fn colors_become_codes_and_text_never_does() {
        let mut markup = Markup::default();
        markup.painted(Paint::Red, "error\u{1b}[0m");
        markup.text(": x");
        assert_eq!(markup.show(true), "\u{1b}[1;31merror\\u{1b}[0m\u{1b}[0m: x");
        assert_eq!(markup.to_string(), "error\\u{1b}[0m: x");
    }

    #[test]
    fn only_the_colors_of_colored_text_are_kept() {
        let markup =
            Markup::of_colored("\u{1b}[1m\u{1b}[4mUsage:\u{1b}[0m x\u{1b}[2Jy\u{1b}]0;t\u{7}\u{1b}[31");
        let shown = "\u{1b}[1m\u{1b}[4mUsage:\u{1b}[0m x\\u{1b}[2Jy\\u{1b}]0;t\\u{7}\\u{1b}[31";
        assert_eq!(markup.show(true), shown);
        assert_eq!(markup.show(false), "Usage: x\\u{1b}[2Jy\\u{1b}]0;t\\u{7}\\u{1b}[31");
    }
}
