//! Parses a declaration file into its syntax tree.
//!
//! *Incremental:* runs again whenever the text of the file changes.

use std::sync::Arc;

use mc_syntax::diagnostic::Diagnostic;
use mc_syntax::sink::Sink;
use mc_syntax::span::Span;

use crate::db::Db;
use crate::declaration::{Declaration, declarations};
use crate::path::WORKSPACE_FILE;
use crate::slips;
use crate::source_file::{Content, SourceFile};

/// A parsed declaration file.
#[derive(Clone, Debug)]
pub(crate) struct Parsed {
    /// Its text; empty if it cannot be read.
    pub(crate) text: Arc<str>,
    /// Diagnostics of the KDL syntax, up to a bound.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Number of further diagnostics.
    pub(crate) n_more: usize,
    /// `None` if there is no such file.
    tree: Option<mc_syntax::parse::Parse>,
}

impl Parsed {
    /// The top-level nodes of the file; `None` if there is no such file.
    pub(crate) fn declarations(&self) -> Option<Vec<Declaration<'_>>> {
        self.tree.as_ref().map(declarations)
    }

    /// Returns true if a node has a syntax error, after which checking it against a schema would give misleading
    /// errors.
    pub(crate) fn is_broken(&self, node: &Declaration<'_>) -> bool {
        let span = node.span;
        let first = self.diagnostics.partition_point(|diagnostic| diagnostic.span.start < span.start);
        let next = self.diagnostics.get(first).map(|diagnostic| diagnostic.span.start);
        // Diagnostics above the limit may be anywhere after the last one.
        next.map_or(self.n_more > 0, |start| start <= span.end)
    }
}

/// Parses a declaration file, regardless of links: for `workspace.kdl`, which grants the permission and needs none.
/// Other files go through [`crate::outside::parse_permitted`].
#[salsa::tracked(returns(ref), no_eq)]
pub(crate) fn parse(db: &dyn Db, file: SourceFile) -> Parsed {
    let empty = Parsed { text: "".into(), diagnostics: Vec::new(), n_more: 0, tree: None };
    let start = Span { start: 0, end: 0 };
    match file.content(db) {
        Ok(Content::Bytes(bytes)) => text(bytes),
        Ok(Content::Head(_) | Content::Names(_) | Content::Outside(_)) => {
            unreachable!("declarations are answered by bytes")
        }
        // A missing package is reported for the targets that name it; a missing workspace file is an error of its own.
        Err(error) if error.is_missing && error.path != WORKSPACE_FILE => empty,
        Err(error) => {
            let mut diagnostic = Diagnostic::error("file::unreadable", error.message.clone(), start);
            if error.is_missing {
                let help = format!("Write `workspace \"name\"` into a file `{WORKSPACE_FILE}` at the root");
                diagnostic = diagnostic.with_help(help);
            }
            Parsed { diagnostics: vec![diagnostic], ..empty }
        }
    }
}

fn text(bytes: &[u8]) -> Parsed {
    let text = String::from_utf8_lossy(bytes);
    let tree = mc_syntax::parse::parse(&text);
    let mut slips = Sink::default();
    slips::collect(&text, &tree.document, &mut slips);
    let (slips, n_more_slips) = slips.finish();
    let mut diagnostics: Vec<Diagnostic> = tree.diagnostics.iter().cloned().chain(slips).collect();
    diagnostics.sort_by_key(|diagnostic| diagnostic.span);
    if let Err(error) = std::str::from_utf8(bytes) {
        // The text before the first wrong byte is the same in both.
        let start = error.valid_up_to();
        let message = format!("The file is not UTF-8 from byte {start} on");
        let span = Span { start, end: start + char::REPLACEMENT_CHARACTER.len_utf8() };
        let diagnostic = Diagnostic::error("file::encoding", message, span);
        diagnostics.insert(0, diagnostic.with_help("Save the file as UTF-8"));
    }
    let n_more = tree.n_more + n_more_slips;
    Parsed { text: text.into(), diagnostics, n_more, tree: Some(tree) }
}
