//! Converts the nodes of a `package.kdl` to targets.
//!
//! A target with an error is dropped, but its name stays declared, so that targets that name it do not get an
//! additional error that it does not exist.

use std::collections::BTreeMap;
use std::sync::Arc;

use mc_ir::attribute::Record;
use mc_ir::label::{Label, PackageId, check_name};
use mc_ir::rule_error::RuleError;
use mc_ir::target::Target;
use mc_syntax::diagnostic::Diagnostic;
use mc_syntax::sink::Sink;
use mc_syntax::span::Span;

use crate::check_node::Checker;
use crate::db::{AnyRule, Db, rule};
use crate::declaration::{Declaration, Entry, Scalar};
use crate::package::{Declared, Package, Spans};
use crate::suggest::nearest_or_list;
use crate::value::Written;

/// Converts the nodes of one package.
pub(crate) struct Lowering<'a> {
    db: &'a dyn Db,
    here: &'a PackageId,
    names: BTreeMap<String, Span>,
    result: LoweredNodes,
    /// The parts into which targets expand, besides themselves. They are added to the package last, because written
    /// targets take precedence.
    parts: Vec<(String, Target)>,
}

/// Result of the conversion.
#[derive(Default)]
pub(crate) struct LoweredNodes {
    pub(crate) package: Package,
    pub(crate) spans: Spans,
    pub(crate) sink: Sink,
}

impl<'a> Lowering<'a> {
    pub(crate) fn new(db: &'a dyn Db, here: &'a PackageId) -> Self {
        Self { db, here, names: BTreeMap::new(), result: LoweredNodes::default(), parts: Vec::new() }
    }

    /// Converts the nodes of the file. From a node with a syntax error, only the name is used.
    pub(crate) fn file(&mut self, nodes: &[Declaration<'_>], is_broken: impl Fn(&Declaration<'_>) -> bool) {
        if let Err(error) = Label::parse(&format!("{}:x", self.here), self.here) {
            let message = format!("The folder `{}` cannot be a package: {}", self.here.0, error.reason);
            self.report(
                Span { start: 0, end: 0 },
                "package::name",
                message,
                Some("Rename the folder".to_owned()),
            );
        }
        for node in nodes {
            if is_broken(node) { self.broken_node(node) } else { self.node(node) }
        }
    }

    pub(crate) fn finish(mut self) -> LoweredNodes {
        for (owner, part) in std::mem::take(&mut self.parts) {
            self.part(&owner, part);
        }
        self.result
    }

    /// Declares the name of a node with a syntax error, and reports nothing about the node.
    fn broken_node(&mut self, node: &Declaration<'_>) {
        let name = node.entries.iter().find_map(|entry| match entry {
            Entry::Argument(Scalar { written: Written::Text(name), .. }) => Some(*name),
            _ => None,
        });
        if let Some(name) = name.filter(|name| check_name(name).is_ok() && !self.names.contains_key(*name)) {
            self.declare(node, name, rule(self.db, node.name));
        }
    }

    fn node(&mut self, node: &Declaration<'_>) {
        let rule = rule(self.db, node.name);
        if rule.is_none() {
            self.result.sink.push_with(|| unknown_rule(self.db, node));
        }
        let name = self.name(node, rule);
        let is_new = name.as_deref().is_some_and(|name| self.declare(node, name, rule));
        let Some(rule) = rule else {
            return;
        };
        let n_before = self.result.sink.len();
        let mut checker = Checker::new(self.here, std::mem::take(&mut self.result.sink));
        let record = checker.record(node, rule.schema(), 1);
        self.result.sink = checker.sink;
        let is_right = self.result.sink.len() == n_before;
        // A second target with the same name is read only to report its errors.
        let (Some(name), true) = (name, is_new) else {
            return;
        };
        self.result.spans.by_target.insert(name.clone(), checker.spans);
        if is_right {
            self.expand(name, rule, record);
        }
    }

    /// The target's name, if there is a valid one.
    fn name(&mut self, node: &Declaration<'_>, rule: Option<&AnyRule>) -> Option<String> {
        let first = node.entries.iter().find_map(|entry| match entry {
            Entry::Argument(scalar) => Some(scalar),
            Entry::Property { .. } => None,
        });
        match first {
            Some(scalar) => match scalar.written {
                Written::Text(name) => match check_name(name) {
                    Ok(()) => Some(name.to_owned()),
                    Err(reason) => {
                        let message = if name.is_empty() {
                            "The name of a target cannot be empty".to_owned()
                        } else {
                            format!("`{name}` cannot be the name of a target: {reason}")
                        };
                        self.report(scalar.span, "package::name", message, None);
                        None
                    }
                },
                _ => {
                    let message = format!(
                        "The name of a target is a string; found another value after `{}`",
                        node.name
                    );
                    let help = "Write the name in quotes".to_owned();
                    self.report(scalar.span, "package::name", message, Some(help));
                    None
                }
            },
            None => {
                // An unknown rule might not need a name.
                if rule.is_some() {
                    let message = format!("The `{}` has no name", node.name);
                    let help = format!("Write `{} \"name\"`", node.name);
                    self.report(node.name_span, "package::name", message, Some(help));
                }
                None
            }
        }
    }

    /// Declares the name; returns `false` if it is already declared.
    fn declare(&mut self, node: &Declaration<'_>, name: &str, rule: Option<&AnyRule>) -> bool {
        let span = node.head_span();
        if let Some(first) = self.names.get(name) {
            let message = format!("`{}` is declared twice", Label::new(self.here.clone(), name));
            let diagnostic = Diagnostic::error("package::duplicate", message, span);
            self.result.sink.push(diagnostic.with_label(*first, "first declared here"));
            return false;
        }
        self.names.insert(name.to_owned(), span);
        let declared = Declared { rule: rule.map(|rule| rule.schema().name), record: None };
        self.result.package.declared.insert(name.to_owned(), declared);
        true
    }

    fn expand(&mut self, name: String, rule: &AnyRule, record: Record) {
        let label = Label::new(self.here.clone(), name.clone());
        let written = record.clone();
        let target = Target { label: label.clone(), rule: rule.schema().name, record, expanded_from: None };
        match rule.expand(target) {
            Ok(targets) => {
                let is_expanded = targets.len() > 1;
                if let Some(declared) = self.result.package.declared.get_mut(&name).filter(|_| is_expanded) {
                    declared.record = Some(Arc::new(written));
                }
                for target in targets {
                    if target.label == label {
                        self.result.package.targets.insert(name.clone(), Arc::new(target));
                    } else {
                        self.parts.push((name.clone(), target));
                    }
                }
            }
            Err(rule_errors) => {
                for rule_error in rule_errors {
                    self.result.sink.push(diagnostic(&self.result.spans, &name, &rule_error));
                }
            }
        }
    }

    fn part(&mut self, owner: &str, mut part: Target) {
        let span = self.names.get(owner).copied().unwrap_or(Span { start: 0, end: 0 });
        let name = part.label.name.clone();
        if part.label.package != *self.here || check_name(&name).is_err() {
            let message =
                format!("`{owner}` expands into `{}`, which this package cannot declare", part.label);
            self.report(span, "package::expansion", message, None);
            return;
        }
        let is_taken = self.result.package.targets.contains_key(&name);
        if let Some(first) = self.names.get(&name).copied().or(is_taken.then_some(span)) {
            let message =
                format!("`{owner}` expands into `{name}`, but there is a target of that name already");
            let diagnostic = Diagnostic::error("package::duplicate", message, span);
            let diagnostic = diagnostic.with_label(first, "the name is taken here");
            self.result.sink.push(diagnostic.with_help("Rename one of the two"));
            return;
        }
        part.expanded_from = Some(Label::new(self.here.clone(), owner));
        self.result.package.targets.insert(name, Arc::new(part));
    }

    fn report(&mut self, span: Span, code: &'static str, message: String, help: Option<String>) {
        let diagnostic = Diagnostic::error(code, message, span);
        self.result.sink.push(match help {
            Some(help) => diagnostic.with_help(help),
            None => diagnostic,
        });
    }
}

fn unknown_rule(db: &dyn Db, node: &Declaration<'_>) -> Diagnostic {
    let rules: Vec<&str> = db.rules().iter().map(|rule| rule.schema().name).collect();
    let message = format!("There is no rule `{}`", node.name);
    let help = nearest_or_list(node.name, "rule", &rules);
    Diagnostic::error("package::rule", message, node.name_span).with_help(help)
}

/// The diagnostic for a rule error, with its span.
pub(crate) fn diagnostic(spans: &Spans, declared: &str, rule_error: &RuleError) -> Diagnostic {
    let span = spans.span(declared, rule_error.place).unwrap_or(Span { start: 0, end: 0 });
    let message = match &rule_error.file {
        Some(file) if !rule_error.message.contains(file.as_str()) => {
            format!("{file}: {}", rule_error.message)
        }
        _ => rule_error.message.clone(),
    };
    let mut diagnostic = Diagnostic::error(rule_error.code, message, span);
    for (place, message) in &rule_error.related {
        if let Some(span) = spans.span(declared, *place) {
            diagnostic = diagnostic.with_label(span, message.clone());
        }
    }
    match &rule_error.help {
        Some(help) => diagnostic.with_help(help.clone()),
        None => diagnostic,
    }
}
