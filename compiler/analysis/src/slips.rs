//! Detects syntax from other languages: text that is valid KDL but never intended in a declaration.
//!
//! KDL parses `'app'`, `a,` and `base:` as bare words that contain these characters. Names, words and paths here never
//! contain them.

use mc_syntax::diagnostic::Diagnostic;
use mc_syntax::sink::Sink;
use mc_syntax::span::Span;
use mc_syntax::tree::{Document, Node};

/// Reports such text.
pub(crate) fn collect(text: &str, document: &Document, sink: &mut Sink) {
    document.nodes.iter().for_each(|node| collect_node(text, node, sink));
}

fn collect_node(text: &str, node: &Node, sink: &mut Sink) {
    let name = node.name.span;
    if let Some(plain) = name.of(text).strip_suffix(':').filter(|_| is_bare(name.of(text))) {
        let help = format!("Write `{plain}`: a value follows the name of its node without `:`");
        sink.push(
            Diagnostic::error("kdl::colon", format!("Expected a node name, found `{plain}:`"), name)
                .with_help(help),
        );
    }
    for entry in &node.entries {
        let written = entry.value.span.of(text);
        if written.starts_with('\'') {
            sink.push(single_quote(written, entry.value.span));
        } else if is_bare(written) && written.ends_with(',') && !is_glued(text, entry.value.span) {
            let comma = Span::new(entry.value.span.end - 1, entry.value.span.end);
            let diagnostic =
                Diagnostic::error("kdl::comma", "Expected a space between values, found `,`", comma);
            sink.push(diagnostic.with_help("Remove the `,`: values are separated by spaces alone"));
        }
    }
    node.child_nodes().iter().for_each(|child| collect_node(text, child, sink));
}

fn is_bare(written: &str) -> bool {
    !written.starts_with(['"', '#'])
}

/// Returns true if there is no space before the entry, which is already a syntax error.
fn is_glued(text: &str, span: Span) -> bool {
    text[..span.start].chars().next_back().is_some_and(|before| before == '"')
}

fn single_quote(written: &str, span: Span) -> Diagnostic {
    let message = format!("Expected text in double quotes, found `{written}`");
    let help = match written.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        Some(inner) => format!("Write `\"{inner}\"`"),
        None => "Write `\"` for `'` at both ends of the text".to_owned(),
    };
    Diagnostic::error("kdl::quotes", message, span).with_help(help)
}
