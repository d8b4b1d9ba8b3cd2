//! Values, type annotations, and the names of nodes, properties and types.

use crate::diagnostic::Diagnostic;
use crate::lex::TokenKind;
use crate::parser::Parser;
use crate::span::Span;
use crate::string::{is_string, string};
use crate::tree::{Name, Scalar, Value};
use crate::word::{excerpt, keyword, word};

impl Parser<'_> {
    /// Reads a value, with or without a type annotation.
    pub(crate) fn typed_value(&mut self) -> Option<Scalar> {
        let start = self.token.span.start;
        let n_errors = self.sink.len();
        let has_paren = self.at(TokenKind::OpenParen);
        let type_annotation = self.optional_type();
        if has_paren {
            self.skip_node_space();
        }
        if !self.is_value_start() || self.at(TokenKind::OpenParen) {
            // An error in the type annotation is enough; no second one is reported.
            if self.sink.len() == n_errors {
                let message = format!("Expected a value after the type annotation, found {}", self.found());
                let help = "A type annotation stands before a value: `(type)value`";
                let span = Span::new(start, self.last_end);
                self.sink.push(Diagnostic::error("kdl::type", message, span).with_help(help));
            }
            return None;
        }
        let value = self.value()?;
        Some(Scalar { type_annotation, value, span: Span::new(start, self.last_end) })
    }

    pub(crate) const fn is_value_start(&self) -> bool {
        matches!(self.token.kind, TokenKind::Word | TokenKind::Keyword | TokenKind::OpenParen)
            || is_string(self.token.kind)
    }

    /// Reads a value without a type annotation; the token is a word, a keyword or a string.
    pub(crate) fn value(&mut self) -> Option<Value> {
        let token = self.token;
        self.bump();
        match token.kind {
            TokenKind::Word if self.is_old_raw_string(token.span) => {
                Some(Value::String(self.old_raw_string(token.span)))
            }
            TokenKind::Word => Some(word(token.span.of(self.text), token.span, self.sink)),
            TokenKind::Keyword => keyword(token.span.of(self.text), token.span, self.sink),
            kind => {
                self.is_end_explained |= kind == TokenKind::UnclosedMultilineString;
                Some(Value::String(string(self.text, token, self.sink)))
            }
        }
    }

    /// Returns true for `r"..."` or `r#"..."#`, the raw strings of KDL 1; the `r` was already read.
    fn is_old_raw_string(&self, word: Span) -> bool {
        word.of(self.text) == "r" && is_string(self.token.kind)
    }

    fn old_raw_string(&mut self, word: Span) -> String {
        let written = self.token.span.of(self.text);
        let n_hashes = written.bytes().take_while(|&byte| byte == b'#').count();
        let body = written.trim_start_matches('#').trim_start_matches('"');
        let body = body.trim_end_matches('#').trim_end_matches('"').to_owned();
        let span = word.to(self.token.span);
        let hashes = "#".repeat(n_hashes.clamp(1, 8));
        let help = format!("KDL 2 writes a raw string without `r`: `{hashes}\"...\"{hashes}`");
        let message = "Expected a value, found a raw string of KDL 1";
        self.sink.push(Diagnostic::error("kdl::string", message, span).with_help(help));
        self.bump();
        body
    }

    /// Reads `(type)`, if present.
    pub(crate) fn optional_type(&mut self) -> Option<Name> {
        if !self.at(TokenKind::OpenParen) {
            return None;
        }
        let open = self.bump();
        self.skip_node_space();
        let name = if matches!(self.token.kind, TokenKind::Word | TokenKind::Keyword)
            || is_string(self.token.kind)
        {
            Some(self.name("type name"))
        } else {
            let message = format!("Expected a type name after `(`, found {}", self.found());
            let help =
                "A type annotation is a name in parentheses: `(type)value`; put text with `(` in quotes";
            self.sink.push(Diagnostic::error("kdl::type", message, open).with_help(help));
            None
        };
        self.skip_node_space();
        if self.at(TokenKind::CloseParen) {
            self.bump();
        } else if name.is_some() {
            let message = format!("Expected `)` after the type name, found {}", self.found());
            let help = "A type annotation is one name in parentheses: `(type)value`";
            self.sink.push(Diagnostic::error("kdl::type", message, open).with_help(help));
            self.skip_to_close_paren();
        } else {
            self.skip_to_close_paren();
        }
        name
    }

    /// Skips past the `)` of this line, if there is one before the next block.
    fn skip_to_close_paren(&mut self) {
        while !(self.is_node_end() || self.at(TokenKind::OpenBrace)) {
            let is_close = self.at(TokenKind::CloseParen);
            self.bump();
            if is_close {
                return;
            }
        }
    }

    /// Reads a name; the token is a word, a keyword or a string.
    pub(crate) fn name(&mut self, what: &str) -> Name {
        let start = self.token.span.start;
        let kind = self.token.kind;
        let value = self.value();
        let span = Span::new(start, self.last_end);
        let text = match value {
            Some(value) => self.name_text(value, kind, span, what),
            None => span.of(self.text).to_owned(),
        };
        Name { text, span }
    }

    /// The text of a value in place of a name.
    pub(crate) fn name_text(&mut self, value: Value, kind: TokenKind, span: Span, what: &str) -> String {
        let written = span.of(self.text);
        match value {
            Value::String(text) => text,
            // A reserved bare word was already reported.
            _ if kind == TokenKind::Word && !crate::number::looks_like_number(written) => written.to_owned(),
            _ => {
                let message = format!("Expected a {what}, found `{}`", excerpt(written));
                let help = format!("Names are text; put it in quotes: `\"{}\"`", excerpt(written));
                self.sink.push(Diagnostic::error("kdl::name", message, span).with_help(help));
                written.to_owned()
            }
        }
    }
}
