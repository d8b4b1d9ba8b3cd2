//! The grammar: tokens to nodes, by recursive descent with one token of lookahead.
//!
//! An error never ends the parse. The parser skips to the next safe position: the next entry, the end of the line, or
//! the closing brace. So one run reports all errors of a file.
//!
//! Source: the KDL 2.0 specification, section "Full Grammar".

use crate::diagnostic::Diagnostic;
use crate::entry::Entries;
use crate::lex::TokenKind;
use crate::parser::Parser;
use crate::span::Span;
use crate::string::is_string;
use crate::tree::{Children, Name, Node};
use crate::word::is_keyword;

/// Maximum nesting of blocks; code that reads the tree may recurse this deep without overflowing its stack.
pub(crate) const MAX_DEPTH: usize = 128;

impl Parser<'_> {
    /// Reads all nodes up to the end of the file.
    pub(crate) fn document(&mut self) -> Vec<Node> {
        if self.at(TokenKind::ByteOrderMark) {
            self.bump();
        }
        let mut nodes = Vec::new();
        loop {
            self.nodes(&mut nodes);
            if self.at(TokenKind::End) {
                return nodes;
            }
            let help = "Remove it, or add the `{` that it closes";
            self.error("kdl::block", "Expected a node, found an unmatched `}`", help);
            self.bump();
        }
    }

    /// Reads nodes up to a closing brace or the end of the file.
    fn nodes(&mut self, nodes: &mut Vec<Node>) {
        loop {
            self.skip_line_space();
            match self.token.kind {
                TokenKind::End | TokenKind::CloseBrace => return,
                TokenKind::Slashdash => self.dropped_node(),
                TokenKind::OpenBrace if nodes.last().is_some_and(|node| node.children.is_none()) => {
                    self.late_block(nodes);
                }
                TokenKind::Keyword if !is_keyword(self.token.span.of(self.text)) => self.hash_comment(),
                TokenKind::Semicolon => {
                    let help = "Remove the `;`: it ends a node, and there is no node before it";
                    self.error("kdl::node", "Expected a node, found `;`", help);
                    self.bump();
                }
                _ => nodes.extend(self.node()),
            }
        }
    }

    /// A block that begins on a line of its own; it is read as that of the node before it.
    fn late_block(&mut self, nodes: &mut [Node]) {
        let open = self.token.span;
        let children = self.children();
        let Some(node) = nodes.last_mut() else { return };
        let message =
            format!("Expected a node, found the `{{` of a block after the line of `{}`", node.name.text);
        let help = format!("Write `{{` at the end of the line of `{}`", node.name.text);
        let diagnostic = Diagnostic::error("kdl::block", message, open);
        self.sink.push(diagnostic.with_label(node.name.span, "The node ends with its line").with_help(help));
        node.span = node.span.to(children.span);
        node.children = Some(children);
    }

    fn dropped_node(&mut self) {
        let slashdash = self.bump();
        self.skip_line_space();
        if self.is_node_end() {
            self.dangling_slashdash(slashdash);
        } else {
            self.node();
        }
    }

    fn node(&mut self) -> Option<Node> {
        let start = self.token.span.start;
        let type_annotation = self.optional_type();
        if type_annotation.is_some() {
            self.skip_node_space();
        }
        let name = self.node_name();
        let rest = self.entries();
        let span = Span::new(start, self.last_end.max(start));
        name.map(|name| Node { span, type_annotation, name, entries: rest.entries, children: rest.children })
    }

    /// Reads the name of a node. If there is none, the text in its place is left for the entries to read, so that
    /// errors in it are reported too.
    fn node_name(&mut self) -> Option<Name> {
        let token = self.token;
        match token.kind {
            TokenKind::Word | TokenKind::Keyword => Some(self.name("node name")),
            kind if is_string(kind) => Some(self.name("node name")),
            // `skip_stray` reports the characters themselves.
            TokenKind::Stray => None,
            _ => {
                let message = format!("Expected a node name, found {}", self.found());
                let help = "A node begins with its name: a bare word, or text in quotes";
                self.error("kdl::node", message, help);
                None
            }
        }
    }

    /// Reads the rest of a node, including its end; a closing brace is left for the block.
    fn entries(&mut self) -> Entries {
        let mut entries = Entries::default();
        entries.read(self, |parser| parser.children());
        if matches!(self.token.kind, TokenKind::Newline | TokenKind::Semicolon) {
            self.bump_layout();
        }
        entries
    }

    /// Reads a block from brace to brace.
    fn children(&mut self) -> Children {
        let open = self.bump();
        let mut nodes = Vec::new();
        if self.depth == MAX_DEPTH {
            let message = format!("Expected at most {MAX_DEPTH} nested blocks, found one more");
            let help = "Move the inner nodes out of the block";
            self.sink.push(Diagnostic::error("kdl::depth", message, open).with_help(help));
            self.skip_block();
        } else {
            self.depth += 1;
            self.nodes(&mut nodes);
            self.depth -= 1;
        }
        if self.at(TokenKind::CloseBrace) {
            self.bump();
        } else if !self.is_end_explained {
            let message = "Expected `}` to close the block, found the end of the file";
            let help = "Add a `}` where the block ends";
            self.sink.push(Diagnostic::error("kdl::block", message, open).with_help(help));
        }
        Children { span: Span::new(open.start, self.last_end), nodes }
    }

    /// Skips to the brace that closes the block just opened, without recursion.
    fn skip_block(&mut self) {
        let mut n_open = 1_usize;
        loop {
            match self.token.kind {
                TokenKind::End => {
                    self.is_end_explained = true;
                    return;
                }
                TokenKind::OpenBrace => n_open += 1,
                TokenKind::CloseBrace if n_open == 1 => return,
                TokenKind::CloseBrace => n_open -= 1,
                _ => {}
            }
            self.bump_layout();
        }
    }
}
