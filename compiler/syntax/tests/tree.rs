//! Queries on the syntax tree.

use mc_syntax::parse::parse;
use mc_syntax::tree::{Node, Value};

fn node(text: &str) -> Node {
    let parse = parse(text);
    assert_eq!(parse.diagnostics, []);
    parse.document.nodes.into_iter().next().unwrap()
}

#[test]
fn spans_cover_the_source_text() {
    let text = "// note\n(t)model \"a\" b = (u8)1 { c; } // note\n";
    let node = node(text);
    assert_eq!(node.span.of(text), "(t)model \"a\" b = (u8)1 { c; }");
    assert_eq!(node.type_annotation.as_ref().unwrap().span.of(text), "t");
    assert_eq!(node.name.span.of(text), "model");
    let entries: Vec<&str> = node.entries.iter().map(|entry| entry.span.of(text)).collect();
    assert_eq!(entries, ["\"a\"", "b = (u8)1"]);
    let property = node.property("b").unwrap();
    assert_eq!(property.name.as_ref().unwrap().span.of(text), "b");
    assert_eq!(property.value.span.of(text), "(u8)1");
    assert_eq!(node.children.as_ref().unwrap().span.of(text), "{ c; }");
    assert_eq!(node.child_nodes()[0].span.of(text), "c");
}

#[test]
fn the_last_of_a_repeated_property_counts_and_arguments_keep_their_order() {
    let node = node("node 1 a=1 2 a=2");
    assert_eq!(node.property("a").unwrap().value.value, Value::Integer(integer("2")));
    assert_eq!(node.property("b"), None);
    let arguments: Vec<&Value> = node.arguments().map(|scalar| &scalar.value).collect();
    assert_eq!(arguments, [&Value::Integer(integer("1")), &Value::Integer(integer("2"))]);
}

#[test]
fn an_integer_gives_its_value_if_it_fits() {
    assert_eq!(integer("9223372036854775807").to_i64(), Some(i64::MAX));
    assert_eq!(integer("-0x8000000000000000").to_i64(), Some(i64::MIN));
    assert_eq!(integer("9223372036854775808").to_i64(), None);
    assert_eq!(integer("-0").text(), "0");
}

#[test]
fn a_float_gives_the_nearest_value() {
    let float = |written: &str| match &node(&format!("node {written}")).entries[0].value.value {
        Value::Float(float) => float.to_f64(),
        other => panic!("Expected a float, found {other:?}"),
    };
    assert_eq!(float("0.1"), 0.1);
    assert_eq!(float("-1_0.5e-1"), -1.05);
    assert_eq!(float("1e999"), f64::INFINITY);
    assert_eq!(float("1e-999"), 0.0);
}

#[test]
fn an_error_leaves_the_rest_of_the_tree() {
    let parse = parse("a 1 b= 2 {\n    c true\n    d [\n}\ne");
    let names: Vec<&str> = parse.document.nodes.iter().map(|node| node.name.text.as_str()).collect();
    assert_eq!(names, ["a", "e"]);
    let inner: Vec<&str> =
        parse.document.nodes[0].child_nodes().iter().map(|node| node.name.text.as_str()).collect();
    assert_eq!(inner, ["c", "d"]);
    assert_eq!(parse.document.nodes[0].child_nodes()[0].entries[0].value.value, Value::Bool(true));
    assert_eq!(parse.diagnostics.len(), 2);
}

fn integer(written: &str) -> mc_syntax::number::Integer {
    match &node(&format!("node {written}")).entries[0].value.value {
        Value::Integer(integer) => integer.clone(),
        other => panic!("Expected an integer, found {other:?}"),
    }
}
