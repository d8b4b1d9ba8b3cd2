//! What follows a node's name: arguments, properties, type annotations, and the block of children.

use crate::diagnostic::Diagnostic;
use crate::grammar::Parser;
use crate::lex::TokenKind;
use crate::span::Span;
use crate::string::{is_string, string};
use crate::tree::{Children, Entry, Name, Scalar, Value};
use crate::word::{excerpt, is_keyword, keyword, word};

/// The rest of a node.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    pub(crate) entries: Vec<Entry>,
    pub(crate) children: Option<Children>,
    /// Where a dropped block stands, after which no entry may come.
    dropped_children: Option<Span>,
}

impl Entries {
    /// Reads up to what ends the node.
    pub(crate) fn read(&mut self, parser: &mut Parser<'_>) {
        loop {
            // Spaces after a value may have been read already, in search of a `=`.
            let is_spaced = parser.skip_node_space() || parser.token.span.start > parser.last_end;
            if parser.is_node_end() {
                return;
            }
            match parser.token.kind {
                TokenKind::Slashdash => self.dropped(parser),
                TokenKind::OpenBrace => self.block(parser),
                TokenKind::Stray | TokenKind::StrayBackslash => parser.skip_stray(),
                TokenKind::Equals => self.value_without_name(parser),
                TokenKind::CloseParen => {
                    let help = "Remove it, or add the `(` that it closes";
                    parser.error("kdl::type", "Expected an entry, found `)` that closes nothing", help);
                    parser.bump_layout();
                }
                // What comes after the block is read as a node of its own.
                _ if self.children.is_some() => return parser.missing_node_end(),
                _ => {
                    if !is_spaced {
                        parser.missing_space();
                    }
                    self.check_order(parser);
                    self.entries.extend(parser.entry());
                }
            }
        }
    }

    fn dropped(&mut self, parser: &mut Parser<'_>) {
        let slashdash = parser.bump();
        parser.skip_line_space();
        if parser.at(TokenKind::OpenBrace) {
            let block = parser.children();
            self.dropped_children = Some(Span::new(slashdash.start, block.span.end));
        } else if parser.is_value_start() {
            if self.children.is_some() {
                parser.missing_node_end();
            }
            self.check_order(parser);
            parser.entry();
        } else {
            parser.dangling_slashdash(slashdash);
        }
    }

    fn block(&mut self, parser: &mut Parser<'_>) {
        let block = parser.children();
        if let Some(first) = &self.children {
            let open = Span::new(block.span.start, block.span.start + 1);
            let message = "Expected the node to end after its block, found a second block";
            let first = Span::new(first.span.start, first.span.start + 1);
            let diagnostic = Diagnostic::error("kdl::block", message, open);
            let help = "Put the nodes of both into one block";
            parser.sink.push(diagnostic.with_label(first, "The first block").with_help(help));
        } else {
            self.children = Some(block);
        }
    }

    /// From a `=` on that no property name stands before; the value counts as an argument.
    fn value_without_name(&mut self, parser: &mut Parser<'_>) {
        let (message, help) = if self.entries.is_empty() {
            (
                "Expected an argument after the node name, found `=`",
                "The value of a node follows its name without `=`",
            )
        } else {
            ("Expected a property name before `=`, found none", "A property is written `name=value`")
        };
        parser.error("kdl::entry", message, help);
        parser.bump();
        parser.skip_node_space();
        if parser.is_value_start() {
            let value = parser.typed_value();
            self.entries.extend(value.map(|value| Entry { span: value.span, name: None, value }));
        }
    }

    /// Entries come before blocks, also before dropped ones.
    fn check_order(&mut self, parser: &mut Parser<'_>) {
        // One report is enough for a node.
        let Some(dropped) = self.dropped_children.take() else { return };
        let message = format!("Expected a block or the end of the node, found {}", parser.found());
        let diagnostic = Diagnostic::error("kdl::block", message, parser.token.span);
        let help = "Arguments and properties come before the blocks of a node";
        parser.sink.push(diagnostic.with_label(dropped, "After this dropped block").with_help(help));
    }
}

impl Parser<'_> {
    /// An argument or a property; `None` if it has no value.
    fn entry(&mut self) -> Option<Entry> {
        let start = self.token.span.start;
        if self.at(TokenKind::OpenParen) {
            let value = self.typed_value()?;
            self.skip_node_space();
            if self.at(TokenKind::Equals) {
                return self.property_after_type(start, value);
            }
            return Some(Entry { span: value.span, name: None, value });
        }
        let kind = self.token.kind;
        let value = self.value()?;
        let span = Span::new(start, self.last_end);
        self.skip_node_space();
        if !self.at(TokenKind::Equals) {
            return Some(Entry { span, name: None, value: Scalar { type_annotation: None, value, span } });
        }
        let text = self.name_text(value, kind, span, "property name");
        self.property(Name { text, span })
    }

    /// From `=` on.
    fn property(&mut self, name: Name) -> Option<Entry> {
        let equals = self.bump();
        self.skip_node_space();
        if self.at(TokenKind::Equals) {
            self.error(
                "kdl::entry",
                "Expected a value after `=`, found a second `=`",
                "A property is written `name=value`",
            );
            self.bump();
            self.skip_node_space();
        }
        let value = if self.is_value_start() {
            self.typed_value()?
        } else {
            let message = format!("Expected a value after `=`, found {}", self.found());
            let help = if self.at(TokenKind::LineComment) {
                "`//` begins a comment; text with `//` in it goes in quotes".to_owned()
            } else {
                format!("Write the value of `{}` after `=`, or remove the `=`", excerpt(&name.text))
            };
            self.sink.push(Diagnostic::error("kdl::entry", message, equals).with_help(help));
            return None;
        };
        let span = name.span.to(value.span);
        Some(Entry { span, name: Some(name), value })
    }

    fn property_after_type(&mut self, start: usize, name: Scalar) -> Option<Entry> {
        let message = "Expected a value after the type annotation, found a property";
        let span = Span::new(start, self.token.span.end);
        let help = "The type belongs to the value: `name=(type)value`";
        self.sink.push(Diagnostic::error("kdl::type", message, span).with_help(help));
        let text = match name.value {
            Value::String(text) => text,
            _ => name.span.of(self.text).to_owned(),
        };
        self.property(Name { text, span: name.span })
    }

    /// A value, with a type annotation or without.
    fn typed_value(&mut self) -> Option<Scalar> {
        let start = self.token.span.start;
        let n_mistakes = self.sink.len();
        let has_paren = self.at(TokenKind::OpenParen);
        let type_annotation = self.optional_type();
        if has_paren {
            self.skip_node_space();
        }
        if !self.is_value_start() || self.at(TokenKind::OpenParen) {
            // After a type annotation with a mistake, that one is enough.
            if self.sink.len() == n_mistakes {
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

    const fn is_value_start(&self) -> bool {
        matches!(self.token.kind, TokenKind::Word | TokenKind::Keyword | TokenKind::OpenParen)
            || is_string(self.token.kind)
    }

    /// A value without type annotation; the token is a word, a keyword or a string.
    fn value(&mut self) -> Option<Value> {
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

    /// Whether this is `r"..."` or `r#"..."#`, the raw strings of KDL 1; the `r` has been read.
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
        let message = "Expected a value, found a raw string as KDL 1 writes it";
        self.sink.push(Diagnostic::error("kdl::string", message, span).with_help(help));
        self.bump();
        body
    }

    /// `(type)`, if there is one.
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
            let help = "A type annotation is a name in parentheses: `(type)value`; text with `(` in it goes in quotes";
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

    /// Goes behind the `)` of this line, if there is one before the next block.
    fn skip_to_close_paren(&mut self) {
        while !(self.is_node_end() || self.at(TokenKind::OpenBrace)) {
            let is_close = self.at(TokenKind::CloseParen);
            self.bump();
            if is_close {
                return;
            }
        }
    }

    /// A string that names something; the token is a word, a keyword or a string.
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

    /// The text of a value that stands where a name should.
    fn name_text(&mut self, value: Value, kind: TokenKind, span: Span, what: &str) -> String {
        let written = span.of(self.text);
        match value {
            Value::String(text) => text,
            // A reserved bare word has been reported.
            _ if kind == TokenKind::Word && !crate::number::looks_like_number(written) => written.to_owned(),
            _ => {
                let message = format!("Expected a {what}, found `{}`", excerpt(written));
                let help = format!("Names are text; put it in quotes: `\"{}\"`", excerpt(written));
                self.sink.push(Diagnostic::error("kdl::name", message, span).with_help(help));
                written.to_owned()
            }
        }
    }

    fn missing_space(&mut self) {
        // These have a mistake of their own, which explains more.
        let is_unclosed =
            matches!(self.token.kind, TokenKind::UnclosedString | TokenKind::UnclosedMultilineString);
        if is_unclosed || (self.at(TokenKind::Keyword) && !is_keyword(self.token.span.of(self.text))) {
            return;
        }
        let found = self.found();
        let message = format!("Expected a space before {found}, found none");
        let help = if self.token.span.of(self.text).starts_with(',') {
            "Entries are separated by spaces, without commas"
        } else {
            "Entries are separated by spaces; text with any of `(){}[]/\\\"#;=` in it goes in quotes"
        };
        self.error("kdl::entry", message, help);
    }

    fn missing_node_end(&mut self) {
        let message = format!("Expected the end of the node after its block, found {}", self.found());
        self.error("kdl::block", message, "Begin the next node on a new line, or write `;` after the `}`");
    }

    fn skip_stray(&mut self) {
        let written = self.token.span.of(self.text);
        let help = if self.at(TokenKind::StrayBackslash) {
            "`\\` at the end of a line continues the node on the next one; text with `\\` in it goes in quotes"
        } else if written.contains(['[', ']']) {
            "Lists have no brackets, and spaces between their values; text with brackets in it goes in quotes"
        } else if written == "/" {
            "Text with `/` in it, such as a path, goes in quotes; a comment begins with `//` or `/*`"
        } else {
            // Characters that are not allowed anywhere have been reported already.
            self.bump_layout();
            return;
        };
        let message = format!("Expected an entry or the end of the node, found `{}`", excerpt(written));
        self.error("kdl::character", message, help);
        // Not counted as an entry, so that no space is missed after it.
        self.bump_layout();
    }
}
