//! The tables of attributes in `docs/rules/`: written from the schemas of the rules, so that their text stands once.
//!
//! A page holds a table between `<!-- attributes: PATH -->` and `<!-- /attributes -->`. PATH is the rule, or the rule and
//! a child with attributes of its own, such as `gate/perplexity`. A child whose attributes have no table of their own is
//! listed with them in the table of the rule.
//!
//! `UPDATE_SUITE=1 cargo test -p mc-rules --test manual` writes the tables into the pages.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

use mc_ir::schema::{Arguments, NodeSchema, Occurs, Presence, PropertySchema, ValueKind};
use mc_rules::rules::RULES;

const HEAD: &str = "| attribute | written as | kind | default | meaning |\n|---|---|---|---|---|\n";
const END: &str = "<!-- /attributes -->";
/// Words of a kind that are listed in a table; a longer list stands on the page.
const MAX_WORDS: usize = 8;

fn opening(path: &str) -> String {
    format!("<!-- attributes: {path} -->")
}

fn kind(value: ValueKind) -> String {
    match value {
        ValueKind::OneOf(words) if words().len() > MAX_WORDS => "a word, see below".to_owned(),
        ValueKind::Tag => "[tag](../language.md#tags)".to_owned(),
        ValueKind::Label => "label".to_owned(),
        ValueKind::Path => "path".to_owned(),
        ValueKind::Glob => "file pattern".to_owned(),
        other => {
            let text = other.describe();
            text.strip_prefix("a ").map_or(text.clone(), str::to_owned)
        }
    }
}

fn written_as(node: &NodeSchema, occurs: Occurs) -> String {
    let values = match node.arguments {
        Arguments::None | Arguments::One(_) => "",
        Arguments::Two(..) => " with two values",
        Arguments::Many(_) => " with one or more values",
    };
    let number = if occurs == Occurs::Any { ", any number" } else { "" };
    format!("child{values}{number}")
}

fn kinds(node: &NodeSchema) -> String {
    match node.arguments {
        Arguments::None => "–".to_owned(),
        Arguments::One(value) | Arguments::Many(value) => kind(value),
        Arguments::Two(first, second) => format!("{}, {}", kind(first), kind(second)),
    }
}

fn row(name: &str, written_as: &str, kind: &str, default: &str, meaning: &str) -> String {
    format!("| {name} | {written_as} | {kind} | {default} | {} |\n", meaning.replace('|', "\\|"))
}

fn property_row(prefix: &str, property: &PropertySchema) -> String {
    let default = match property.presence {
        Presence::Required => "required".to_owned(),
        Presence::Optional => "none".to_owned(),
        Presence::Default(text) => format!("`{text}`"),
    };
    let name = format!("{prefix}`{}`", property.name);
    row(&name, "property", &kind(property.value), &default, property.doc)
}

/// The rows of the attributes of a node.
///
/// * `path`: the path of the node
/// * `own_tables`: paths that have a table of their own
fn rows(path: &str, prefix: &str, node: &NodeSchema, own_tables: &BTreeSet<String>) -> String {
    let mut text: String = node.properties.iter().map(|property| property_row(prefix, property)).collect();
    for child in node.children {
        let default = if child.occurs == Occurs::Once { "required" } else { "none" };
        let name = format!("{prefix}`{}`", child.node.name);
        let written_as = written_as(child.node, child.occurs);
        text.push_str(&row(&name, &written_as, &kinds(child.node), default, child.node.doc));
        let child_path = format!("{path}/{}", child.node.name);
        if !own_tables.contains(&child_path) {
            text.push_str(&rows(&child_path, &format!("{name} "), child.node, own_tables));
        }
    }
    text
}

fn node_at(rule: &'static NodeSchema, path: &str) -> Option<&'static NodeSchema> {
    let mut names = path.split('/');
    (names.next() == Some(rule.name)).then_some(())?;
    names.try_fold(rule, |node, name| {
        node.children.iter().map(|child| child.node).find(|child| child.name == name)
    })
}

fn paths(page: &str) -> BTreeSet<String> {
    let marks = page.split("<!-- attributes: ").skip(1).filter_map(|rest| rest.split_once(" -->"));
    marks.map(|(path, _)| path.to_owned()).collect()
}

/// The page with its tables written anew.
fn rewritten(rule: &'static NodeSchema, page: &str) -> Result<String, String> {
    let own_tables = paths(page);
    if !own_tables.contains(rule.name) {
        return Err(format!("there is no `{}`", opening(rule.name)));
    }
    let mut text = page.to_owned();
    for path in &own_tables {
        let node = node_at(rule, path).ok_or_else(|| format!("`{path}` is not in the schema"))?;
        let opening = opening(path);
        let (before, rest) = text.split_once(&opening).ok_or("marks overlap")?;
        let (_, after) = rest.split_once(END).ok_or_else(|| format!("`{opening}` has no end"))?;
        text = format!("{before}{opening}\n{HEAD}{}{END}{after}", rows(path, "", node, &own_tables));
    }
    Ok(text)
}

#[test]
fn tables_of_attributes_are_those_of_the_schemas() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/rules");
    let mut differences = Vec::new();
    for rule in RULES {
        let path: PathBuf = folder.join(format!("{}.md", rule.schema().name));
        let page = fs::read_to_string(&path).unwrap();
        match rewritten(rule.schema(), &page) {
            Err(error) => differences.push(format!("{}: {error}", path.display())),
            Ok(text) if text == page => {}
            Ok(text) if env::var_os("UPDATE_SUITE").is_some() => fs::write(&path, text).unwrap(),
            Ok(_) => differences.push(format!("{}: tables differ from the schema", path.display())),
        }
    }
    assert!(differences.is_empty(), "{}\n`UPDATE_SUITE=1` writes the tables", differences.join("\n"));
}

#[test]
fn every_attribute_has_a_sentence() {
    fn check(path: &str, node: &NodeSchema, without: &mut Vec<String>) {
        let docs = node.properties.iter().map(|property| (property.name, property.doc));
        let children = node.children.iter().map(|child| (child.node.name, child.node.doc));
        let poor = docs.chain(children).filter(|(_, doc)| !doc.ends_with('.') || doc.contains("]("));
        without.extend(poor.map(|(name, doc)| format!("{path}/{name}: `{doc}`")));
        node.children
            .iter()
            .for_each(|child| check(&format!("{path}/{}", child.node.name), child.node, without));
    }
    let mut without = Vec::new();
    RULES.iter().for_each(|rule| check(rule.schema().name, rule.schema(), &mut without));
    assert!(without.is_empty(), "{}", without.join("\n"));
}
