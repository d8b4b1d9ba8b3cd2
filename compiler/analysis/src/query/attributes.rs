//! The attributes of a target, by name, as texts and as labels.

use mc_ir::attribute::{Placed, Record, Value};
use mc_ir::label::Label;

/// The values of an attribute as text, as they are written: the value of a property, the arguments of a child.
pub(crate) fn texts(record: &Record, name: &str) -> Vec<String> {
    values(record, name).into_iter().map(text).collect()
}

/// The labels in an attribute, including those in its properties and children.
pub(crate) fn labels(record: &Record, name: &str) -> Vec<Label> {
    let property = record.property(name).and_then(|placed| placed.value.as_label()).cloned();
    let children = record.children(name).iter().flat_map(Record::labels).map(|placed| placed.value);
    property.into_iter().chain(children).collect()
}

fn values<'a>(record: &'a Record, name: &str) -> Vec<&'a Value> {
    let children = record.children(name).iter().flat_map(|child| &child.arguments);
    record.property(name).into_iter().chain(children).map(|Placed { value, .. }| value).collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::Text(text) | Value::Path(text) | Value::Glob(text) => text.clone(),
        Value::Integer(integer) => integer.to_string(),
        Value::Number(number) | Value::Fraction(number) => number.0.to_string(),
        Value::Bool(truth) => truth.to_string(),
        Value::Label(label) => label.to_string(),
        Value::Bytes(n_bytes) => n_bytes.to_string(),
    }
}
