//! Checks a node against its schema: reports all errors at once, and returns the valid part as a record.
//!
//! The same code checks targets and the settings of a workspace; it uses schemas and no rules.

use std::collections::{BTreeMap, BTreeSet};

use mc_ir::attribute::{Place, Placed, Record, Value};
use mc_ir::label::PackageId;
use mc_ir::schema::{Arguments, NodeSchema, Occurs, Presence, ValueKind};
use mc_ir::tags::Tags;
use mc_syntax::diagnostic::Diagnostic;
use mc_syntax::nearest::nearest;
use mc_syntax::sink::Sink;
use mc_syntax::span::Span;

use crate::declaration::{Declaration, Entry, Scalar};
use crate::suggest::nearest_or_list;
use crate::value::{Written, read, read_default};

/// Checks the nodes of one target, or of one settings file.
pub(crate) struct Checker<'a> {
    /// The package of labels without `//`.
    here: &'a PackageId,
    /// The span of each place, indexed by the place's number.
    pub(crate) spans: Vec<Span>,
    /// All diagnostics, including those of earlier checks.
    pub(crate) sink: Sink,
    /// The attributes that may be written next to the current node.
    siblings: Vec<&'static str>,
    /// An attribute written on the line of another one. It has no value, but is not reported as missing either.
    in_line: Option<&'static str>,
}

/// The names found in one node.
#[derive(Default)]
struct Seen<'a> {
    /// The first occurrence of each name that is allowed only once.
    firsts: BTreeMap<&'a str, Span>,
    /// Probable intentions of unknown names. They have no value, but are not reported as missing either.
    meant: BTreeSet<&'static str>,
}

impl Seen<'_> {
    fn holds(&self, name: &str) -> bool {
        self.firsts.contains_key(name) || self.meant.contains(name)
    }
}

impl<'a> Checker<'a> {
    /// New diagnostics are appended to those in `sink`.
    pub(crate) fn new(here: &'a PackageId, sink: Sink) -> Self {
        Self { here, spans: Vec::new(), sink, siblings: Vec::new(), in_line: None }
    }

    /// Reads a node. The first `n_skipped` arguments are not part of the schema: a target's name.
    pub(crate) fn record(&mut self, node: &Declaration<'_>, schema: &NodeSchema, n_skipped: usize) -> Record {
        let mut record = Record::new(self.place(node.name_span));
        let mut seen = Seen::default();
        let mut n_arguments = 0;
        for entry in &node.entries {
            match entry {
                Entry::Argument(scalar) => {
                    n_arguments += 1;
                    if n_arguments > n_skipped {
                        // Everything after it belongs to the other attribute.
                        if self.is_attribute_in_line(schema, scalar, n_arguments - n_skipped) {
                            seen.meant.extend(self.in_line);
                            break;
                        }
                        self.argument(&mut record, schema, scalar, n_arguments - n_skipped);
                    }
                }
                Entry::Property { name, name_span, value } => {
                    self.property(&mut record, schema, &mut seen, (name, *name_span), value);
                }
            }
        }
        for child in &node.children {
            self.child(&mut record, schema, &mut seen, child);
        }
        self.missing_argument(schema, node.name_span, n_arguments.saturating_sub(n_skipped));
        self.complete(&mut record, schema, node.name_span, &seen);
        record
    }

    /// Reads the top-level nodes of a file as if they were children of `schema`.
    pub(crate) fn top(&mut self, nodes: &[Declaration<'_>], schema: &NodeSchema) -> Record {
        let start = Span { start: 0, end: 0 };
        let mut record = Record::new(self.place(start));
        let mut seen = Seen::default();
        for node in nodes {
            self.child(&mut record, schema, &mut seen, node);
        }
        self.complete(&mut record, schema, start, &seen);
        record
    }

    fn place(&mut self, span: Span) -> Place {
        let place = Place(u32::try_from(self.spans.len()).unwrap_or(u32::MAX));
        self.spans.push(span);
        place
    }

    /// Reports an excess argument that is the name of an attribute, and returns true for one: either of an attribute
    /// that may be written next to the node (`;` is missing before it), or of one inside the node (its braces are
    /// missing).
    fn is_attribute_in_line(&mut self, schema: &NodeSchema, scalar: &Scalar<'_>, number: usize) -> bool {
        let n_taken = match schema.arguments {
            Arguments::None => 0,
            Arguments::One(_) => 1,
            Arguments::Two(..) => 2,
            Arguments::Many(_) => return false,
        };
        let Written::Text(text) = scalar.written else { return false };
        if number <= n_taken {
            return false;
        }
        let name_in = |names: &[&'static str]| names.iter().copied().find(|name| *name == text);
        let sibling = name_in(&self.siblings);
        let Some(name) = sibling.or_else(|| name_in(&known_names(schema))) else { return false };
        let (message, help) = match sibling {
            Some(name) => (
                format!("Expected the end of `{}`, found the attribute `{name}`", schema.name),
                format!("Write `;` before `{name}`, or begin a new line"),
            ),
            None => (
                format!("Expected `{{` before the attribute `{name}`, found none"),
                format!("Attributes belong in a block: `{} \"…\" {{ {name} … }}`", schema.name),
            ),
        };
        self.sink.push(Diagnostic::error("schema::separator", message, scalar.span).with_help(help));
        self.in_line = Some(name);
        true
    }

    fn argument(&mut self, record: &mut Record, schema: &NodeSchema, scalar: &Scalar<'_>, number: usize) {
        let kind = match schema.arguments {
            Arguments::Many(kind) => kind,
            Arguments::One(kind) | Arguments::Two(kind, _) if number == 1 => kind,
            Arguments::Two(_, kind) if number == 2 => kind,
            Arguments::One(_) | Arguments::Two(..) => {
                let taken =
                    if matches!(schema.arguments, Arguments::One(_)) { "one value" } else { "two values" };
                let message = format!("`{}` takes {taken}, found another", schema.name);
                self.report(scalar.span, "schema::argument", message);
                return;
            }
            Arguments::None => {
                let message = format!("`{}` takes no value here", schema.name);
                let named = schema.properties.first().map(|property| (property.name, property.value));
                let help = named.map(|(name, value)| match example(schema) {
                    bare if bare == schema.name => format!("Write `{bare} {name}={}`", example_value(value)),
                    example => format!("Write `{example}`"),
                });
                self.sink.push(with_help(Diagnostic::error("schema::argument", message, scalar.span), help));
                return;
            }
        };
        let place = self.place(scalar.span);
        if let Some(value) = self.value(kind, scalar, schema.name) {
            record.arguments.push(Placed { value, place });
        }
    }

    fn property<'b>(
        &mut self,
        record: &mut Record,
        schema: &NodeSchema,
        seen: &mut Seen<'b>,
        (name, name_span): (&'b str, Span),
        scalar: &Scalar<'_>,
    ) {
        if let Some(property) = schema.properties.iter().find(|property| property.name == name) {
            if self.is_repeated(seen, name, name_span) {
                return;
            }
            let place = self.place(scalar.span);
            if let Some(value) = self.value(property.value, scalar, name) {
                record.properties.insert(name.to_owned(), Placed { value, place });
            }
            return;
        }
        let Some(child) = schema.children.iter().find(|child| child.node.name == name) else {
            self.unknown(schema, seen, name, name_span);
            return;
        };
        let Arguments::One(kind) = child.node.arguments else {
            let message = format!("`{name}` of `{}` must be a node of its own", schema.name);
            let help = format!("Write `{}`", example(child.node));
            self.sink.push(Diagnostic::error("schema::form", message, name_span).with_help(help));
            seen.firsts.insert(name, name_span);
            return;
        };
        if child.occurs != Occurs::Any && self.is_repeated(seen, name, name_span) {
            return;
        }
        let place = self.place(scalar.span);
        let mut node = Record::new(place);
        if let Some(value) = self.value(kind, scalar, name) {
            node.arguments.push(Placed { value, place });
        }
        self.complete(&mut node, child.node, name_span, &Seen::default());
        record.children.entry(name.to_owned()).or_default().push(node);
    }

    fn child<'b>(
        &mut self,
        record: &mut Record,
        schema: &NodeSchema,
        seen: &mut Seen<'b>,
        node: &Declaration<'b>,
    ) {
        let Some(child) = schema.children.iter().find(|child| child.node.name == node.name) else {
            if schema.properties.iter().any(|property| property.name == node.name) {
                let message = format!("`{}` of `{}` is written as a property", node.name, schema.name);
                let help = format!("Write `{}=…` in the line of `{}`", node.name, schema.name);
                self.sink.push(Diagnostic::error("schema::form", message, node.name_span).with_help(help));
                seen.firsts.insert(node.name, node.name_span);
            } else {
                self.unknown(schema, seen, node.name, node.name_span);
            }
            return;
        };
        let is_repeated = child.occurs != Occurs::Any && self.is_repeated(seen, node.name, node.name_span);
        // Parsed even if it is one too many, to report the errors in it.
        let siblings = std::mem::replace(&mut self.siblings, known_names(schema));
        let read = self.record(node, child.node, 0);
        self.siblings = siblings;
        seen.meant.extend(self.in_line.take());
        if !is_repeated {
            record.children.entry(node.name.to_owned()).or_default().push(read);
        }
    }

    fn is_repeated<'b>(&mut self, seen: &mut Seen<'b>, name: &'b str, span: Span) -> bool {
        let Some(first) = seen.firsts.get(name) else {
            seen.firsts.insert(name, span);
            return false;
        };
        let diagnostic = Diagnostic::error("schema::repeated", format!("`{name}` is given twice"), span);
        self.sink.push(diagnostic.with_label(*first, "first given here"));
        true
    }

    fn value(&mut self, kind: ValueKind, scalar: &Scalar<'_>, name: &str) -> Option<Value> {
        match read(kind, scalar.written, self.here) {
            Ok(value) => Some(value),
            Err(mismatch) => {
                let message = format!("Expected {} for `{name}`, {}", kind.describe(), mismatch.found);
                let diagnostic = Diagnostic::error("schema::kind", message, scalar.span);
                self.sink.push(with_help(diagnostic, mismatch.help));
                None
            }
        }
    }

    fn unknown(&mut self, schema: &NodeSchema, seen: &mut Seen<'_>, name: &str, span: Span) {
        self.sink.push_with(|| {
            let known = known_names(schema);
            seen.meant.extend(nearest(name, known.iter().copied()));
            let message = if schema.name.is_empty() {
                format!("`{name}` has no meaning here")
            } else {
                format!("`{}` has no attribute `{name}`", schema.name)
            };
            let help = nearest_or_list(name, "attribute", &known);
            Diagnostic::error("schema::unknown-attribute", message, span).with_help(help)
        });
    }

    fn missing_argument(&mut self, schema: &NodeSchema, span: Span, n_given: usize) {
        let needed = match schema.arguments {
            Arguments::One(kind) | Arguments::Many(kind) if n_given == 0 => kind.describe(),
            Arguments::Two(..) if n_given == 0 => "two values, found none".to_owned(),
            Arguments::Two(..) if n_given == 1 => "two values, found one".to_owned(),
            _ => return,
        };
        let message = format!("`{}` needs {needed}", schema.name);
        let help = format!("Write `{}`: {}", example(schema), schema.doc);
        self.sink.push(Diagnostic::error("schema::missing", message, span).with_help(help));
    }

    /// Fills in defaults and reports required names that are absent. Names in `seen` are present, valid or not.
    fn complete(&mut self, record: &mut Record, schema: &NodeSchema, span: Span, seen: &Seen<'_>) {
        for property in schema.properties.iter().filter(|property| !seen.holds(property.name)) {
            match property.presence {
                Presence::Optional => {}
                Presence::Default(text) => match read_default(property.value, text, self.here) {
                    Ok(value) => {
                        let placed = Placed { value, place: record.place };
                        record.properties.insert(property.name.to_owned(), placed);
                    }
                    Err(mismatch) => {
                        let message = format!(
                            "The default of `{}` is wrong: {}; this is a bug",
                            property.name, mismatch.found
                        );
                        self.report(span, "schema::default", message);
                    }
                },
                Presence::Required => {
                    let message = format!("`{}` needs `{}`", schema.name, property.name);
                    let help = format!(
                        "Add `{}={}`: {}",
                        property.name,
                        example_value(property.value),
                        property.doc
                    );
                    self.missing(span, message, help);
                }
            }
        }
        for child in schema.children {
            if child.occurs == Occurs::Once && !seen.holds(child.node.name) {
                let message = if schema.name.is_empty() {
                    format!("There is no `{}`", child.node.name)
                } else {
                    format!("`{}` needs `{}`", schema.name, child.node.name)
                };
                let help = format!("Add `{}`: {}", example(child.node), child.node.doc);
                self.missing(span, message, help);
            }
        }
    }

    fn missing(&mut self, span: Span, message: String, help: String) {
        self.sink.push(Diagnostic::error("schema::missing", message, span).with_help(help));
    }

    fn report(&mut self, span: Span, code: &'static str, message: String) {
        self.sink.push(Diagnostic::error(code, message, span));
    }
}

/// The attribute names of a schema, each once.
fn known_names(schema: &NodeSchema) -> Vec<&'static str> {
    let mut known: Vec<&'static str> = schema.children.iter().map(|child| child.node.name).collect();
    // Some names may be written as a property and as a child.
    let is_child = |name: &str| schema.children.iter().any(|child| child.node.name == name);
    let properties = schema.properties.iter().map(|property| property.name);
    known.extend(properties.filter(|name| !is_child(name)));
    known
}

fn with_help(diagnostic: Diagnostic, help: Option<String>) -> Diagnostic {
    match help {
        Some(help) => diagnostic.with_help(help),
        None => diagnostic,
    }
}

/// The shortest way to write a node, such as `size max="525MB"`.
fn example(schema: &NodeSchema) -> String {
    let mut text = schema.name.to_owned();
    match schema.arguments {
        Arguments::None => {}
        Arguments::One(kind) | Arguments::Many(kind) => text = format!("{text} {}", example_value(kind)),
        Arguments::Two(first, second) => {
            text = format!("{text} {} {}", example_value(first), example_value(second));
        }
    }
    for property in schema.properties {
        if matches!(property.presence, Presence::Required) {
            text = format!("{text} {}={}", property.name, example_value(property.value));
        }
    }
    let children: Vec<String> = schema
        .children
        .iter()
        .filter(|child| child.occurs == Occurs::Once)
        .map(|child| example(child.node))
        .collect();
    if children.is_empty() { text } else { format!("{text} {{ {} }}", children.join("; ")) }
}

fn example_value(kind: ValueKind) -> String {
    match kind {
        ValueKind::Text => "\"…\"".to_owned(),
        ValueKind::OneOf(words) | ValueKind::Advised(words, _) => {
            format!("\"{}\"", words().first().unwrap_or(&"…"))
        }
        ValueKind::Integer => "1".to_owned(),
        ValueKind::Number => "1.0".to_owned(),
        ValueKind::Bool => "#true".to_owned(),
        ValueKind::Label => "\":target\"".to_owned(),
        ValueKind::Path => "\"folder/file\"".to_owned(),
        ValueKind::Glob => "\"data/*.txt\"".to_owned(),
        ValueKind::Bytes => "\"525MB\"".to_owned(),
        ValueKind::Fraction => "\"2%\"".to_owned(),
        ValueKind::Tag => format!("\"{}\"", Tags::words().first().unwrap_or(&"…")),
    }
}
