//! The rest of a node after its name: arguments, properties, type annotations, and the block of children.

use crate::diagnostic::Diagnostic;
use crate::lex::TokenKind;
use crate::parser::Parser;
use crate::span::Span;
use crate::tree::{Children, Entry, Name, Scalar, Value};
use crate::word::{excerpt, is_keyword};

/// Reads a block from brace to brace; the current token is its `{`. The grammar of nodes is passed as a function,
/// because a block consists of nodes.
pub(crate) type ReadBlock = fn(&mut Parser<'_>) -> Children;

/// The rest of a node.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    pub(crate) entries: Vec<Entry>,
    pub(crate) children: Option<Children>,
    /// Location of a dropped block, after which no entries are allowed.
    dropped_children: Option<Span>,
}

impl Entries {
    /// Reads up to the end of the node.
    pub(crate) fn read(&mut self, parser: &mut Parser<'_>, read_block: ReadBlock) {
        loop {
            // Spaces after a value may have been skipped already while looking for a `=`.
            let is_spaced = parser.skip_node_space() || parser.token.span.start > parser.last_end;
            if parser.is_node_end() {
                return;
            }
            match parser.token.kind {
                TokenKind::Slashdash => self.dropped(parser, read_block),
                TokenKind::OpenBrace => self.block(parser, read_block),
                TokenKind::Keyword if parser.token.span.of(parser.text).bytes().all(|byte| byte == b'#') => {
                    return parser.hash_comment();
                }
                TokenKind::Stray | TokenKind::StrayBackslash => parser.skip_stray(),
                TokenKind::Equals => self.value_without_name(parser),
                TokenKind::CloseParen => {
                    let help = "Remove it, or add the `(` that it closes";
                    parser.error("kdl::type", "Expected an entry, found an unmatched `)`", help);
                    parser.bump_layout();
                }
                // Whatever follows the block is read as a separate node.
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

    fn dropped(&mut self, parser: &mut Parser<'_>, read_block: ReadBlock) {
        let slashdash = parser.bump();
        parser.skip_line_space();
        if parser.at(TokenKind::OpenBrace) {
            let block = read_block(parser);
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

    fn block(&mut self, parser: &mut Parser<'_>, read_block: ReadBlock) {
        let block = read_block(parser);
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

    /// Reads from a `=` without a property name before it; the value counts as an argument.
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

    /// Checks that entries come before blocks, also before dropped ones.
    fn check_order(&mut self, parser: &mut Parser<'_>) {
        // Reported once per node.
        let Some(dropped) = self.dropped_children.take() else { return };
        let message = format!("Expected a block or the end of the node, found {}", parser.found());
        let diagnostic = Diagnostic::error("kdl::block", message, parser.token.span);
        let help = "Arguments and properties come before the blocks of a node";
        parser.sink.push(diagnostic.with_label(dropped, "After this dropped block").with_help(help));
    }
}

impl Parser<'_> {
    /// Reads an argument or a property; `None` if it has no value.
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

    /// Reads a property from the `=` on.
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
                "`//` begins a comment; put text with `//` in quotes".to_owned()
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

    fn missing_space(&mut self) {
        // These have an error of their own, which explains more.
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
            "Entries are separated by spaces; put text with any of `(){}[]/\\\"#;=` in quotes"
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
            "`\\` at the end of a line continues the node on the next one; put text with `\\` in quotes"
        } else if written.contains(['[', ']']) {
            "Lists have no brackets and are separated by spaces; put text with brackets in quotes"
        } else if written == "/" {
            "Put text with `/`, such as a path, in quotes; a comment begins with `//` or `/*`"
        } else {
            // Characters that are never allowed were already reported.
            self.bump_layout();
            return;
        };
        let message = format!("Expected an entry or the end of the node, found `{}`", excerpt(written));
        self.error("kdl::character", message, help);
        // Not counted as an entry, so that no missing space is reported after it.
        self.bump_layout();
    }
}
