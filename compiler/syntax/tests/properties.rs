//! Properties of all texts: generated documents mean the same to the `kdl` crate, and no text makes the parser fail.

use std::fmt::Write;

use kdl::{KdlDocument, KdlEntry, KdlNode, KdlValue};
use mc_syntax::lex::tokens;
use mc_syntax::line_index::LineIndex;
use mc_syntax::parse::{Parse, parse};
use mc_syntax::print::{print, quote};
use mc_syntax::render::render;
use mc_syntax::span::Span;
use mc_syntax::terminal::{Markup, Paint, escaped, is_steering, printable};
use mc_syntax::tree::{Entry, Node, Value};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn generated_documents_mean_the_same_to_the_kdl_crate(text in document()) {
        let parse = parse(&text);
        prop_assert_eq!(&parse.diagnostics, &[], "{}", text);
        let theirs = KdlDocument::parse_v2(&text).map_err(|error| TestCaseError::fail(format!("{error:?}\n{text}")))?;
        prop_assert_eq!(our_nodes(&parse.document.nodes), their_nodes(theirs.nodes()), "{}", text);
    }

    #[test]
    fn generated_documents_print_to_a_form_that_reads_back(text in document()) {
        let printed = print(&parse(&text).document);
        let again = parse(&printed);
        prop_assert_eq!(&again.diagnostics, &[], "{}", printed);
        prop_assert_eq!(print(&again.document), printed);
    }

    #[test]
    fn any_string_can_be_quoted(text in any::<String>()) {
        let parse = parse(&format!("node {}", quote(&text)));
        prop_assert_eq!(&parse.diagnostics, &[]);
        prop_assert_eq!(&parse.document.nodes[0].entries[0].value.value, &Value::String(text));
    }

    #[test]
    fn any_text_is_read_and_its_errors_are_shown(text in any::<String>()) {
        check_any(&text)?;
    }

    #[test]
    fn any_sequence_of_kdl_tokens_is_read_and_its_errors_are_shown(text in soup()) {
        check_any(&text)?;
    }

    #[test]
    fn a_damaged_document_is_read_and_its_errors_are_shown(
        text in document(),
        piece in soup(),
        place in any::<prop::sample::Index>(),
        n_removed in 0_usize..20,
    ) {
        let borders: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let first = place.index(borders.len());
        let start = borders[first];
        let end = borders[(first + n_removed).min(borders.len() - 1)];
        check_any(&format!("{}{piece}{}", &text[..start], &text[end..]))?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_controls_the_terminal(text in foreign(), own in "[a-z ]{0,5}") {
        let mut markup = Markup::default();
        markup.text(own.as_str());
        markup.painted(Paint::Red, text.as_str());
        markup.text(text.as_str());
        check_shown(&markup)?;
        prop_assert!(printable(&text).chars().all(|shown| !is_steering(shown) && shown != '\n' && shown != '\t'));
        // Only control characters are changed, and escaping is idempotent.
        let kept: String = text.chars().filter(|&character| !is_steering(character)).collect();
        prop_assert_eq!(escaped(&kept), kept.as_str());
        let once = escaped(&text);
        prop_assert_eq!(escaped(&once), once.as_ref());
    }

    #[test]
    fn colored_text_of_a_library_has_no_other_control_characters(text in foreign()) {
        let shown = Markup::of_colored(&text).show(true);
        check_codes(&shown)?;
        let plain = Markup::of_colored(&text).show(false);
        prop_assert!(!plain.chars().any(is_steering), "{plain:?}");
    }
}

/// Text with more terminal control characters than random text would have.
fn foreign() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<String>(),
        any::<char>().prop_map(String::from),
        proptest::char::range('\0', '\u{9F}').prop_map(String::from),
        proptest::char::range('\u{2000}', '\u{206F}').prop_map(String::from),
        proptest::char::range('\u{E0000}', '\u{E0FFF}').prop_map(String::from),
        Just("\u{1B}[31m".to_owned()),
        Just("\u{1B}]8;;http://a\u{7}".to_owned()),
        Just("\u{9B}2J\u{FEFF}\u{61C}\r".to_owned()),
        Just("👩‍👩‍👧 é 日本".to_owned()),
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// Without colors, no control characters; with colors, only color codes.
fn check_shown(markup: &Markup) -> Result<(), TestCaseError> {
    prop_assert!(!markup.show(false).chars().any(is_steering));
    let without_codes = check_codes(&markup.show(true))?;
    prop_assert_eq!(without_codes, markup.show(false));
    Ok(())
}

/// Removes the color codes and checks that the remaining text has no control characters.
fn check_codes(shown: &str) -> Result<String, TestCaseError> {
    let mut pieces = shown.split("\u{1B}[");
    let mut left = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (code, text) = piece.split_once('m').ok_or_else(|| TestCaseError::fail("a code has an end"))?;
        prop_assert!(code.bytes().all(|byte| byte.is_ascii_digit() || byte == b';'), "{code}");
        left.push_str(text);
    }
    prop_assert!(!left.chars().any(is_steering), "{left:?}");
    Ok(left)
}

fn check_any(text: &str) -> Result<(), TestCaseError> {
    let joined: String = tokens(text).map(|token| token.span.of(text)).collect();
    prop_assert_eq!(&joined, text);
    let Parse { document, diagnostics, .. } = parse(text);
    let lines = LineIndex::new(text);
    for diagnostic in &diagnostics {
        let labels = diagnostic.labels.iter().map(|label| label.span);
        for span in labels.chain([diagnostic.span]) {
            check_span(text, span)?;
        }
        prop_assert!(diagnostic.help.is_some(), "{}", diagnostic.message);
        let rendered = render("file.kdl", &lines, diagnostic);
        prop_assert!(rendered.to_string().lines().count() >= 5);
        check_shown(&rendered)?;
    }
    document.nodes.iter().try_for_each(|node| check_spans(text, node))?;
    // The part that could be read is a valid document.
    let printed = print(&document);
    prop_assert_eq!(&parse(&printed).diagnostics, &[], "{}", printed);
    Ok(())
}

fn check_spans(text: &str, node: &Node) -> Result<(), TestCaseError> {
    check_span(text, node.span)?;
    let mut last = node.name.span.end;
    for entry in &node.entries {
        check_span(text, entry.span)?;
        prop_assert!(last <= entry.span.start && entry.span.end <= node.span.end);
        last = entry.span.end;
    }
    for child in node.child_nodes() {
        prop_assert!(node.span.start <= child.span.start && child.span.end <= node.span.end);
        check_spans(text, child)?;
    }
    Ok(())
}

fn check_span(text: &str, span: Span) -> Result<(), TestCaseError> {
    prop_assert!(span.start <= span.end && text.get(span.range()).is_some(), "{} in {:?}", span, text);
    Ok(())
}

/// Both trees as text in the same form.
fn our_nodes(nodes: &[Node]) -> String {
    let mut text = String::new();
    for node in nodes {
        let annotation = node.type_annotation.as_ref().map(|name| name.text.as_str());
        let entries: Vec<String> = node.entries.iter().map(our_entry).collect();
        let children = node.children.as_ref().map(|children| our_nodes(&children.nodes));
        writeln!(text, "{annotation:?} {:?} {entries:?} {children:?}", node.name.text).unwrap();
    }
    text
}

fn our_entry(entry: &Entry) -> String {
    let name = entry.name.as_ref().map(|name| name.text.as_str());
    let annotation = entry.value.type_annotation.as_ref().map(|name| name.text.as_str());
    let value = match &entry.value.value {
        Value::String(text) => format!("{text:?}"),
        Value::Integer(integer) => integer.text().to_owned(),
        Value::Float(float) => format!("{:?}", float.to_f64()),
        Value::Infinity => "inf".to_owned(),
        Value::NegInfinity => "-inf".to_owned(),
        Value::NaN => "NaN".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Null => "null".to_owned(),
    };
    format!("{name:?} {annotation:?} {value}")
}

fn their_nodes(nodes: &[KdlNode]) -> String {
    let mut text = String::new();
    for node in nodes {
        let annotation = node.ty().map(kdl::KdlIdentifier::value);
        let entries: Vec<String> = node.entries().iter().map(their_entry).collect();
        let children = node.children().map(|children| their_nodes(children.nodes()));
        writeln!(text, "{annotation:?} {:?} {entries:?} {children:?}", node.name().value()).unwrap();
    }
    text
}

fn their_entry(entry: &KdlEntry) -> String {
    let name = entry.name().map(kdl::KdlIdentifier::value);
    let annotation = entry.ty().map(kdl::KdlIdentifier::value);
    let value = match entry.value() {
        KdlValue::String(text) => format!("{text:?}"),
        KdlValue::Integer(integer) => integer.to_string(),
        KdlValue::Float(float) => format!("{float:?}"),
        KdlValue::Bool(truth) => truth.to_string(),
        KdlValue::Null => "null".to_owned(),
    };
    format!("{name:?} {annotation:?} {value}")
}

fn document() -> impl Strategy<Value = String> {
    let leaf = node(Just(String::new()).boxed());
    let tree = leaf.prop_recursive(4, 24, 4, |inner| {
        let block = (line_space(), prop::collection::vec(inner, 0..4), line_space())
            .prop_map(|(before, nodes, after)| format!(" {{{before}{}{after}}}", nodes.concat()))
            .boxed();
        node(prop_oneof![block.clone(), block.prop_map(|block| format!(" /-{block}"))].boxed())
    });
    let opening = prop_oneof![6 => Just(""), 1 => Just("\u{FEFF}"), 1 => Just("/- kdl-version 2\n")];
    (opening, prop::collection::vec(tree, 0..6))
        .prop_map(|(opening, nodes)| format!("{opening}{}", nodes.concat()))
}

fn node(block: BoxedStrategy<String>) -> BoxedStrategy<String> {
    let slashdash = prop_oneof![8 => Just(""), 1 => Just("/-"), 1 => Just("/- ")];
    let end = prop_oneof![Just("\n"), Just(";"), Just(" // note\n"), Just("\r\n"), Just(";\n\n")];
    let entries =
        prop::collection::vec((node_space(), entry()).prop_map(|(space, entry)| space + &entry), 0..5);
    (line_space(), slashdash, annotation(), name(), entries, block, end)
        .prop_map(|(space, slashdash, annotation, name, entries, block, end)| {
            // The `kdl` crate rejects a `;` after a dropped node.
            let end = if slashdash.is_empty() { end } else { "\n" };
            format!("{space}{slashdash}{annotation}{name}{}{block}{end}", entries.concat())
        })
        .boxed()
}

fn entry() -> impl Strategy<Value = String> {
    let equals = prop_oneof![4 => Just("="), 1 => Just(" = "), 1 => Just("= "), 1 => Just(" /* is */=")];
    let property =
        (name(), equals, value()).prop_map(|(name, equals, value)| format!("{name}{equals}{value}"));
    let entry = prop_oneof![value(), property];
    (prop_oneof![8 => Just(""), 1 => Just("/-"), 1 => Just("/- \n")], entry)
        .prop_map(|(drop, entry)| drop.to_owned() + &entry)
}

fn value() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        3 => name(),
        1 => prop::sample::select(vec!["#true", "#false", "#null", "#inf", "#-inf", "#nan"]).prop_map(str::to_owned),
        2 => any::<i64>().prop_map(|integer| integer.to_string()),
        1 => any::<u64>().prop_map(|integer| format!("{integer:#x}")),
        1 => any::<u32>().prop_map(|integer| format!("-{integer:#o}")),
        1 => any::<u16>().prop_map(|integer| format!("+{integer:#b}_")),
        1 => "[+-]?[0-9][0-9_]{0,8}\\.[0-9][0-9_]{0,5}([eE][+-]?[0-9]{1,2})?",
        1 => "[+-]?[0-9]{1,5}[eE][+-]?[0-9]{1,2}",
    ];
    (annotation(), scalar).prop_map(|(annotation, scalar)| annotation + &scalar)
}

fn annotation() -> impl Strategy<Value = String> {
    let written = name().prop_map(|name| format!("({name})"));
    prop_oneof![6 => Just(String::new()), 1 => written]
}

/// A string in one of its possible notations.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-zA-Z_äß東😀][a-z0-9_.-]{0,6}x",
        1 => "[+-][a-z]{0,3}",
        1 => "\\.[a-z]{0,3}",
        2 => "[ -~äß東😀]{0,12}".prop_map(|text| quote(&text)),
        1 => any::<String>().prop_map(|text| quote(&text)),
        1 => "([ -!#-\\[\\]-~]|\\\\[nrt\"\\\\bfs]|\\\\u\\{[0-9a-c]{1,4}\\}|\\\\ {1,3}){0,8}".prop_map(|body| format!("\"{body}\"")),
        1 => "[ !$-~東]{1,8}".prop_map(|body| format!("##\"{body}\"##")),
        1 => ("[ \t]{0,3}", prop::collection::vec("[ a-z#東]{0,8}", 0..4)).prop_map(|(indent, lines)| {
            let lines: String = lines.iter().map(|line| format!("{indent}{line}\n")).collect();
            format!("\"\"\"\n{lines}{indent}\"\"\"")
        }),
    ]
}

fn node_space() -> impl Strategy<Value = String> {
    let spaces = vec![
        " ",
        "\t",
        "  ",
        " /* note */ ",
        "/* a /* b */ */",
        " \\\n ",
        " \\ // note\n",
        "\u{A0}",
        "\u{3000}",
    ];
    prop::sample::select(spaces).prop_map(str::to_owned)
}

fn line_space() -> impl Strategy<Value = String> {
    let spaces = vec!["", "", "\n", "  ", "// note\n", "/* note\n */", "\r\n\t", "\u{85}", " \\\n"];
    prop::sample::select(spaces).prop_map(str::to_owned)
}

/// Tokens of the language in random order.
fn soup() -> impl Strategy<Value = String> {
    let pieces = vec![
        "{",
        "}",
        "(",
        ")",
        "=",
        ";",
        "\n",
        "\r",
        " ",
        "/-",
        "//",
        "/*",
        "*/",
        "\\",
        "\"",
        "\"\"\"",
        "#",
        "#\"",
        "\"#",
        "\"\"\"\n",
        "#\"\"\"\n",
        "\\u{",
        "\\n",
        "\\ ",
        "[",
        "/",
        "a",
        "r",
        "true",
        "#null",
        "1",
        "0x",
        ".",
        "-",
        "+",
        "e",
        "_",
        ",",
        "\t",
        "\u{FEFF}",
        "\u{202E}",
        "\u{0}",
        "ä",
        "東",
        "😀",
        "\u{2028}",
        "kdl-version",
    ];
    prop::collection::vec(prop::sample::select(pieces), 0..40).prop_map(|pieces| pieces.concat())
}
