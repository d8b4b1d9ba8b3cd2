//! Short ways to read attributes that the schema has already checked.
//!
//! A schema promises that a required attribute is there and of its kind, so these return plain values; an optional
//! one is an `Option`.

use mc_ir::attribute::{Place, Placed, Record, Value};
use mc_ir::label::Label;
use mc_ir::rule::{RuleContext, SourceError};
use mc_ir::rule_error::RuleError;

/// The text, path or pattern of a child's argument.
pub(crate) fn text<'a>(record: &'a Record, name: &str) -> Option<&'a str> {
    record.value(name).and_then(|placed| placed.value.as_text())
}

/// The label of a child's argument, with its place.
pub(crate) fn label(record: &Record, name: &str) -> Option<Placed<Label>> {
    let placed = record.value(name)?;
    placed.value.as_label().map(|label| Placed { value: label.clone(), place: placed.place })
}

/// The label of a property, with its place.
pub(crate) fn label_property(record: &Record, name: &str) -> Option<Placed<Label>> {
    let placed = record.property(name)?;
    placed.value.as_label().map(|label| Placed { value: label.clone(), place: placed.place })
}

/// The text of a property.
pub(crate) fn text_property<'a>(record: &'a Record, name: &str) -> Option<&'a str> {
    record.property(name).and_then(|placed| placed.value.as_text())
}

/// The number of a property.
pub(crate) fn number_property(record: &Record, name: &str) -> Option<f64> {
    record.property(name).and_then(|placed| placed.value.as_number())
}

/// Whether a property is `#true`.
pub(crate) fn bool_property(record: &Record, name: &str) -> bool {
    record.property(name).and_then(|placed| placed.value.as_bool()).unwrap_or(false)
}

/// Where a child stands, or its parent when it is not there.
pub(crate) fn place_of(record: &Record, name: &str) -> Place {
    record.value(name).map_or(record.place, |placed| placed.place)
}

/// A source file that cannot be read, as a fault at the attribute that named it.
pub(crate) fn source_error(place: Place, code: &'static str, error: &SourceError) -> RuleError {
    let found = RuleError::new(place, code, error.message.clone()).file(error.path.clone());
    match error.help {
        Some(help) => found.help(help),
        None => found,
    }
}

/// A path of the package as messages call it: from the workspace's root. One of a fetched file is absolute already.
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

/// `1 tensor is`, `2 tensors are`.
pub(crate) fn counted(count: usize, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

/// A child node with one argument, for expansions.
pub(crate) fn child(place: Place, value: Value) -> Record {
    let mut record = Record::new(place);
    record.arguments.push(Placed { value, place });
    record
}

/// What a target named in an attribute provides, as one provider type.
///
/// # Errors
/// A fault that names what was expected, when the target provides something else; no fault when the target has
/// faults of its own (they are reported there).
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
