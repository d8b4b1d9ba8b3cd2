//! Parses a text into its tree and its diagnostics.
//!
//! This is the entry point of the crate. It always returns a tree, and all errors of the text. It takes linear time and
//! does not know what the nodes mean.

use crate::character::{BYTE_ORDER_MARK, is_disallowed};
use crate::diagnostic::Diagnostic;
use crate::lex::{TokenKind, tokens};
use crate::parser::Parser;
use crate::sink::Sink;
use crate::span::Span;
use crate::tree::Document;

/// Maximum size of a text in bytes; a larger one is refused before it is read.
pub const MAX_BYTES: usize = 16 << 20;

/// A parsed text.
#[derive(Clone, Debug)]
pub struct Parse {
    /// Everything that could be read.
    pub document: Document,
    /// Diagnostics in the order of the text, up to a limit; empty if the text is valid KDL.
    pub diagnostics: Vec<Diagnostic>,
    /// Number of further diagnostics.
    pub n_more: usize,
}

/// Parses a text.
#[must_use]
pub fn parse(text: &str) -> Parse {
    let mut sink = Sink::default();
    if text.len() > MAX_BYTES {
        let message = format!("Expected a file of at most {MAX_BYTES} bytes, found {}", text.len());
        let help = "Split the file";
        sink.push(Diagnostic::error("kdl::size", message, Span::at(0)).with_help(help));
        return finished(Document::default(), sink);
    }
    check_version(text, &mut sink);
    check_characters(text, &mut sink);
    let nodes = Parser::new(text, &mut sink).document();
    finished(Document { nodes }, sink)
}

fn finished(document: Document, sink: Sink) -> Parse {
    let (diagnostics, n_more) = sink.finish();
    Parse { document, diagnostics, n_more }
}

/// Checks the version marker: `/- kdl-version 2` may be the first line; for the grammar it is an ordinary dropped node.
fn check_version(text: &str, sink: &mut Sink) {
    let is_layout = |kind| matches!(kind, TokenKind::ByteOrderMark | TokenKind::Space | TokenKind::Newline);
    let mut tokens = tokens(text).filter(|token| !is_layout(token.kind));
    let mut next = || tokens.next().map(|token| (token.span, token.span.of(text)));
    let (Some((_, "/-")), Some((_, "kdl-version")), Some((span, version))) = (next(), next(), next()) else {
        return;
    };
    if version != "2" {
        let message = format!("Expected version `2` of KDL, found `{}`", crate::word::excerpt(version));
        let help = "Write `/- kdl-version 2`, and the file in KDL 2";
        sink.push(Diagnostic::error("kdl::version", message, span).with_help(help));
    }
}

/// Reports each run of disallowed characters.
fn check_characters(text: &str, sink: &mut Sink) {
    let mut at = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
    while let Some(offset) = text[at..].find(is_disallowed) {
        let start = at + offset;
        let len = text[start..].find(|next| !is_disallowed(next)).unwrap_or(text.len() - start);
        let first = text[start..].chars().next().expect("it was found there");
        at = start + len;
        let message =
            format!("Expected text, found the character U+{:04X}, which is not allowed", u32::from(first));
        let help = format!("Remove it, or write `\\u{{{:X}}}` in a string", u32::from(first));
        sink.push(Diagnostic::error("kdl::character", message, Span::new(start, at)).with_help(help));
    }
}
