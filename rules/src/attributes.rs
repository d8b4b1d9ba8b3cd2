//! Helpers that read attributes after the schema has checked them.
//!
//! The schema guarantees that a required attribute exists and has the right kind, so these functions return
//! plain values; an optional attribute is an `Option`.

use mc_ir::attribute::{Place, Placed, Record, Value};
use mc_ir::label::Label;
use mc_ir::rule::{RuleContext, SourceError};
use mc_ir::rule_error::RuleError;

/// Returns the text, path or pattern in a child's argument.
pub(crate) fn text<'a>(record: &'a Record, name: &str) -> Option<&'a str> {
    record.value(name).and_then(|placed| placed.value.as_text())
}

/// Returns the label in a child's argument, with its location.
pub(crate) fn label(record: &Record, name: &str) -> Option<Placed<Label>> {
    let placed = record.value(name)?;
    placed.value.as_label().map(|label| Placed { value: label.clone(), place: placed.place })
}

/// Returns the label in a property, with its location.
pub(crate) fn label_property(record: &Record, name: &str) -> Option<Placed<Label>> {
    let placed = record.property(name)?;
    placed.value.as_label().map(|label| Placed { value: label.clone(), place: placed.place })
}

/// Returns the text of a property.
pub(crate) fn text_property<'a>(record: &'a Record, name: &str) -> Option<&'a str> {
    record.property(name).and_then(|placed| placed.value.as_text())
}

/// Returns the number in a property.
pub(crate) fn number_property(record: &Record, name: &str) -> Option<f64> {
    record.property(name).and_then(|placed| placed.value.as_number())
}

/// Returns true if a property is `#true`.
pub(crate) fn bool_property(record: &Record, name: &str) -> bool {
    record.property(name).and_then(|placed| placed.value.as_bool()).unwrap_or(false)
}

/// Returns the location of a child, or that of its parent if the child is missing.
pub(crate) fn place_of(record: &Record, name: &str) -> Place {
    record.value(name).map_or(record.place, |placed| placed.place)
}

/// Reports an unreadable source file at the attribute that names it.
pub(crate) fn source_error(place: Place, code: &'static str, error: &SourceError) -> RuleError {
    let found = RuleError::new(place, code, error.message.clone()).file(error.path.clone());
    match error.help {
        Some(help) => found.help(help),
        None => found,
    }
}

/// Returns a path of the package as messages show it: relative to the workspace's root. The path of a fetched
/// file is absolute already.
pub(crate) fn shown_path(ctx: &dyn RuleContext, path: &str) -> String {
    if path.starts_with('/') {
        return path.to_owned();
    }
    match (ctx.label().package.0.as_str(), path) {
        ("", path) => path.to_owned(),
        (package, "" | ".") => package.to_owned(),
        (package, path) => format!("{package}/{path}"),
    }
}

/// Formats a count with its noun: `1 tensor is`, `2 tensors are`.
pub(crate) fn counted(count: usize, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

/// Creates a child node with one argument, for expansions.
pub(crate) fn child(place: Place, value: Value) -> Record {
    let mut record = Record::new(place);
    record.arguments.push(Placed { value, place });
    record
}

/// Returns one provider of the target that an attribute names.
///
/// # Errors
/// An error that names the expected kind if the target provides something else. Returns no error if the
/// target has errors of its own, because they are reported there.
pub(crate) fn provider<T: mc_ir::provider::Provider + Clone>(
    ctx: &dyn RuleContext,
    label: &Placed<Label>,
    expected: &str,
) -> Result<T, Vec<RuleError>> {
    let Ok(providers) = ctx.providers(&label.value) else {
        return Err(Vec::new());
    };
    providers.get::<T>().cloned().ok_or_else(|| {
        let message = format!("`{}` is not {expected}", label.value);
        vec![
            RuleError::new(label.place, "rule::provider", message)
                .help(format!("Name a target that is {expected}")),
        ]
    })
}
