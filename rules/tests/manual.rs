//! The tables of the manual that come from code: the words of `quantize`, and the tables of attributes in `docs/rules/`: written from the schemas of the rules, so that their text stands once.
//!
//! A page holds a table between `<!-- attributes: PATH -->` and `<!-- /attributes -->`. PATH is the rule, or the rule and
//! a child with attributes of its own, such as `gate/perplexity`. Attributes of a child that has no table of its own
//! stand at the end of the table of the rule, each once with all children that take it. A child that looks like a rule,
//! such as `gate` in `model`, is described on the page of that rule.
//!
//! `UPDATE_SUITE=1 cargo test -p mc-rules --test manual` writes the tables into the pages.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

use mc_ir::schema::{Arguments, ChildSchema, NodeSchema, Occurs, Presence, PropertySchema, ValueKind};
use mc_rules::exporters::EXPORTERS;
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
            ["a ", "an "].iter().find_map(|article| text.strip_prefix(article)).unwrap_or(&text).to_owned()
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

/// A row of a table without the children that the attribute belongs to.
#[derive(Clone, PartialEq, Eq)]
struct Attribute {
    name: &'static str,
    written_as: String,
    kind: String,
    default: String,
    meaning: String,
}

impl Attribute {
    fn of_property(property: &PropertySchema) -> Self {
        let default = match property.presence {
            Presence::Required => "required".to_owned(),
            Presence::Optional => "none".to_owned(),
            Presence::Default(text) => format!("`{text}`"),
        };
        Self {
            name: property.name,
            written_as: "property".to_owned(),
            kind: kind(property.value),
            default,
            meaning: property.doc.to_owned(),
        }
    }

    fn of_child(child: &ChildSchema) -> Self {
        let default = if child.occurs == Occurs::Once { "required" } else { "none" };
        let rule = if is_rule(child.node) {
            format!(" See [`{0}`]({0}.md).", child.node.name)
        } else {
            String::new()
        };
        Self {
            name: child.node.name,
            written_as: written_as(child.node, child.occurs),
            kind: kinds(child.node),
            default: default.to_owned(),
            meaning: format!("{}{rule}", child.node.doc),
        }
    }

    /// * `parents`: the children that the attribute belongs to; none for an attribute of the rule itself
    fn row(&self, parents: &[String]) -> String {
        let Self { name, written_as, kind, default, meaning } = self;
        let name = match parents {
            [] => format!("`{name}`"),
            [parent] => format!("{parent} `{name}`"),
            several => format!("`{name}` of {}", several.join(", ")),
        };
        format!("| {name} | {written_as} | {kind} | {default} | {} |\n", meaning.replace('|', "\\|"))
    }
}

/// Returns true if all attributes of a child are attributes of the rule of the same name.
fn is_rule(node: &NodeSchema) -> bool {
    let rule = RULES.iter().map(|rule| rule.schema()).find(|rule| rule.name == node.name);
    rule.is_some_and(|rule| {
        let has = |name| rule.children.iter().any(|child| child.node.name == name);
        node.properties.is_empty()
            && !node.children.is_empty()
            && node.children.iter().all(|child| has(child.node.name))
    })
}

fn attributes(node: &'static NodeSchema) -> Vec<Attribute> {
    let properties = node.properties.iter().map(Attribute::of_property);
    properties.chain(node.children.iter().map(Attribute::of_child)).collect()
}

/// The attributes of the children below a node, each with those that it belongs to.
fn nested(
    path: &str,
    (top, parent): (&NodeSchema, &str),
    node: &'static NodeSchema,
    own_tables: &BTreeSet<String>,
    found: &mut Vec<(Attribute, Vec<String>)>,
) {
    // An attribute that the rule takes, too, is described there.
    let is_known = |child: &ChildSchema| {
        !parent.is_empty() && top.children.iter().any(|other| std::ptr::eq(other.node, child.node))
    };
    for child in node.children.iter().filter(|child| !is_rule(child.node) && !is_known(child)) {
        let path = format!("{path}/{}", child.node.name);
        if own_tables.contains(&path) {
            continue;
        }
        let parent = format!("{parent}`{}`", child.node.name);
        for attribute in attributes(child.node) {
            match found.iter_mut().find(|(known, _)| *known == attribute) {
                Some((_, parents)) => parents.push(parent.clone()),
                None => found.push((attribute, vec![parent.clone()])),
            }
        }
        nested(&path, (top, &format!("{parent} ")), child.node, own_tables, found);
    }
}

/// The rows of a table.
fn rows(path: &str, node: &'static NodeSchema, own_tables: &BTreeSet<String>) -> String {
    let own = attributes(node);
    let mut below = Vec::new();
    nested(path, (node, ""), node, own_tables, &mut below);
    below.retain(|(attribute, _)| !own.contains(attribute));
    let own = own.iter().map(|attribute| attribute.row(&[]));
    own.chain(below.iter().map(|(attribute, parents)| attribute.row(parents))).collect()
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
        text = format!("{before}{opening}\n{HEAD}{}{END}{after}", rows(path, node, &own_tables));
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

const QUANTIZATIONS: &str = "<!-- quantizations -->";
const END_OF_QUANTIZATIONS: &str = "<!-- /quantizations -->";

/// The words of all formats, each with the bits per weight that it takes in the formats that have it.
fn quantizations() -> String {
    let formats: Vec<_> = EXPORTERS.iter().filter(|exporter| !exporter.quantizations().is_empty()).collect();
    let titles: Vec<&str> = formats.iter().map(|exporter| exporter.title()).collect();
    let mut text =
        format!("| word | {} | meaning |\n|---|{}\n", titles.join(" | "), "---|".repeat(titles.len() + 1));
    let mut words: Vec<(&str, &str)> = Vec::new();
    for quantization in formats.iter().flat_map(|exporter| exporter.quantizations()) {
        if words.iter().all(|(word, _)| *word != quantization.name) {
            words.push((quantization.name, quantization.doc));
        }
    }
    for (word, doc) in words {
        let bits = formats.iter().map(|exporter| {
            let found = exporter.quantizations().iter().find(|known| known.name == word);
            found.map_or("–".to_owned(), |known| format!("{}", known.bits_per_weight))
        });
        text.push_str(&format!("| `{word}` | {} | {doc} |\n", bits.collect::<Vec<_>>().join(" | ")));
    }
    text
}

#[test]
fn the_table_of_quantizations_is_that_of_the_formats() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/quantization.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(QUANTIZATIONS).unwrap();
    let (_, after) = rest.split_once(END_OF_QUANTIZATIONS).unwrap();
    let text = format!("{before}{QUANTIZATIONS}\n{}{END_OF_QUANTIZATIONS}{after}", quantizations());
    if env::var_os("UPDATE_SUITE").is_some() {
        fs::write(&path, text).unwrap();
    } else {
        assert_eq!(page, text, "`UPDATE_SUITE=1` writes the table");
    }
}
