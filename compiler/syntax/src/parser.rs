//! Reads the tokens of a file one after another: position, skipping, and error reports.
//!
//! The modules [`crate::value`], [`crate::entry`] and [`crate::grammar`] interpret the tokens.

use crate::diagnostic::Diagnostic;
use crate::lex::{Lexer, Token, TokenKind};
use crate::sink::Sink;
use crate::span::Span;
use crate::word::excerpt;

/// Turns tokens into nodes.
pub(crate) struct Parser<'a> {
    pub(crate) text: &'a str,
    pub(crate) token: Token,
    pub(crate) sink: &'a mut Sink,
    lexer: Lexer<'a>,
    /// Number of blocks around the current token.
    pub(crate) depth: usize,
    /// The end of the last non-layout token.
    pub(crate) last_end: usize,
    /// True if blocks that are still open at the end of the file were already reported.
    pub(crate) is_end_explained: bool,
}

impl<'a> Parser<'a> {
    pub(crate) fn new(text: &'a str, sink: &'a mut Sink) -> Self {
        let mut lexer = Lexer::new(text);
        let token = lexer.next_token();
        Self { text, token, sink, lexer, depth: 0, last_end: 0, is_end_explained: false }
    }

    /// Returns true if a node ends here.
    pub(crate) const fn is_node_end(&self) -> bool {
        matches!(
            self.token.kind,
            TokenKind::End
                | TokenKind::Newline
                | TokenKind::LineComment
                | TokenKind::Semicolon
                | TokenKind::CloseBrace
        )
    }

    pub(crate) fn dangling_slashdash(&mut self, slashdash: Span) {
        let message = format!("Expected something to drop after `/-`, found {}", self.found());
        let help = "`/-` drops the node, value or block that follows it; remove it if there is none";
        self.sink.push(Diagnostic::error("kdl::slashdash", message, slashdash).with_help(help));
    }

    /// A comment as shells and YAML write it, up to the end of the line.
    pub(crate) fn hash_comment(&mut self) {
        let help = "A comment begins with `//`, or stands between `/*` and `*/`";
        let hash = Span::new(self.token.span.start, self.token.span.start + 1);
        let message = "Expected `//` before a comment, found `#`";
        self.sink.push(Diagnostic::error("kdl::comment", message, hash).with_help(help));
        while !matches!(self.token.kind, TokenKind::Newline | TokenKind::End) {
            self.bump_layout();
        }
    }

    /// Skips spaces, block comments and continued lines; whether there were any.
    pub(crate) fn skip_node_space(&mut self) -> bool {
        let start = self.token.span.start;
        loop {
            match self.token.kind {
                TokenKind::Space | TokenKind::BlockComment | TokenKind::Continuation => {}
                TokenKind::UnclosedBlockComment => {
                    let opening = Span::new(self.token.span.start, self.token.span.start + 2);
                    let message = "Expected `*/` to close the comment, found the end of the file";
                    let help = "Comments nest: every `/*` inside one needs its own `*/`";
                    self.sink.push(Diagnostic::error("kdl::comment", message, opening).with_help(help));
                    self.is_end_explained = true;
                }
                _ => return self.token.span.start > start,
            }
            self.bump_layout();
        }
    }

    /// Skips everything that is allowed between nodes.
    pub(crate) fn skip_line_space(&mut self) {
        loop {
            self.skip_node_space();
            if !matches!(self.token.kind, TokenKind::Newline | TokenKind::LineComment) {
                return;
            }
            self.bump_layout();
        }
    }

    pub(crate) fn at(&self, kind: TokenKind) -> bool {
        self.token.kind == kind
    }

    /// Takes the token as part of the current node.
    pub(crate) fn bump(&mut self) -> Span {
        self.last_end = self.token.span.end;
        self.bump_layout()
    }

    /// Takes a token that does not extend the span of a node.
    pub(crate) fn bump_layout(&mut self) -> Span {
        let span = self.token.span;
        self.token = self.lexer.next_token();
        span
    }

    /// Reports an error at the current token.
    pub(crate) fn error(&mut self, code: &'static str, message: impl Into<String>, help: &str) {
        let diagnostic = Diagnostic::error(code, message, self.found_span());
        self.sink.push(diagnostic.with_help(help));
    }

    /// Describes the current token.
    pub(crate) fn found(&self) -> String {
        match self.token.kind {
            TokenKind::End => "the end of the file".to_owned(),
            TokenKind::Newline => "the end of the line".to_owned(),
            TokenKind::LineComment => "a comment".to_owned(),
            TokenKind::Space | TokenKind::BlockComment | TokenKind::Continuation => "a space".to_owned(),
            TokenKind::MultilineString | TokenKind::RawMultilineString => "a multi-line string".to_owned(),
            _ => format!("`{}`", excerpt(self.token.span.of(self.text))),
        }
    }

    /// The span to display: the end of a line is a point and not the line break itself.
    fn found_span(&self) -> Span {
        match self.token.kind {
            TokenKind::Newline => Span::at(self.token.span.start),
            _ => self.token.span,
        }
    }
}
