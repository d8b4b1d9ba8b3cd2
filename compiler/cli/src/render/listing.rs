//! The contents of a file as `mc inspect` shows them: facts, keys, tensors, and the locations of their bytes.

use mc_driver::inspect::listing::{Key, Listing, Tensor, TypeShare};
use mc_syntax::terminal::printable;
use serde_json::{Value, json};

use crate::render::fidelity;
use crate::render::plural::plural;
use crate::render::printable::abbreviated;
use crate::render::table::{Align, table};

/// Maximum number of characters shown of a text.
const MAX_TEXT: usize = 100;

/// The parts to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    /// The named values.
    pub(crate) keys: bool,
    /// The tensors.
    pub(crate) tensors: bool,
}

/// The listing for people.
pub(crate) fn text(listing: &Listing, source: &str, parts: Parts) -> String {
    let mut text = format!("{}: {}\n", printable(source), listing.format);
    for (name, value) in &listing.facts {
        text.push_str(&format!("{name}: {}\n", printable(value)));
    }
    text.push_str(&summary(listing));
    if parts.keys {
        text.push_str(&format!("\n{} key{}\n", listing.keys.len(), plural(listing.keys.len())));
        let row = |key: &Key| vec![key.name.clone(), key.kind.clone(), shown(&key.value)];
        text.push_str(&table(&[Align::Left; 3], &listing.keys.iter().map(row).collect::<Vec<_>>()));
    }
    if parts.tensors {
        text.push_str(&format!("\n{} tensor{}\n", listing.tensors.len(), plural(listing.tensors.len())));
        text.push_str(&tensor_table(listing));
    }
    text.push_str(&totals(listing));
    text
}

/// Number of parameters, bits per weight and the share of each type; empty without weights. If weights are packed, only
/// the shares of bytes are known.
fn summary(listing: &Listing) -> String {
    let summary = listing.summary();
    if summary.is_packed() && listing.is_model() {
        let share = |of: &TypeShare| format!("{} {}", of.kind, percent(of.n_bytes, summary.n_bytes));
        let types: Vec<String> = summary.types.iter().map(share).collect();
        return format!("types, by bytes: {}\n", types.join(", "));
    }
    let Some(bits) = summary.bits_per_weight().filter(|_| listing.is_model()) else { return String::new() };
    let n_parameters = summary.n_parameters;
    let share = |of: &TypeShare| format!("{} {}", of.kind, percent(of.n_parameters, n_parameters));
    let types: Vec<String> = summary.types.iter().map(share).collect();
    format!("parameters: {n_parameters}\nbits per weight: {bits:.2}\ntypes: {}\n", types.join(", "))
}

fn percent(part: u64, whole: u64) -> String {
    format!("{:.1} %", part as f64 * 100.0 / whole as f64)
}

fn tensor_table(listing: &Listing) -> String {
    if listing.tensors.is_empty() {
        return String::new();
    }
    let has_fidelity = listing.tensors.iter().any(|tensor| tensor.fidelity.is_some());
    let mut rows = vec![["name", "type", "shape", "bytes", "offset"].map(str::to_owned).to_vec()];
    if has_fidelity {
        rows[0].extend(fidelity::HEADINGS.map(str::to_owned));
    }
    for tensor in &listing.tensors {
        let shape: Vec<String> = tensor.shape.iter().map(u64::to_string).collect();
        rows.push(vec![
            tensor.name.clone(),
            tensor.kind.to_owned(),
            format!("[{}]", shape.join(", ")),
            tensor.n_bytes.to_string(),
            tensor.offset.to_string(),
        ]);
        if let (Some(fidelity), Some(row)) = (&tensor.fidelity, rows.last_mut()) {
            row.extend(fidelity::cells(fidelity));
        }
    }
    let mut columns = [Align::Right; 8];
    columns[..3].fill(Align::Left);
    table(&columns, &rows)
}

fn totals(listing: &Listing) -> String {
    let rows: Vec<Vec<String>> = [
        ("header", listing.header_bytes),
        ("tensors", listing.tensor_bytes()),
        ("padding", listing.padding_bytes()),
        ("file", listing.n_bytes),
    ]
    .iter()
    .map(|(name, n_bytes)| vec![(*name).to_owned(), n_bytes.to_string(), "bytes".to_owned()])
    .collect();
    format!("\n{}", table(&[Align::Left, Align::Right, Align::Left], &rows))
}

/// The listing for programs.
pub(crate) fn json(listing: &Listing, source: &str, parts: Parts) -> Value {
    let facts: serde_json::Map<String, Value> =
        listing.facts.iter().map(|(name, value)| (name.replace(' ', "_"), json!(value))).collect();
    let summary = listing.summary();
    let types: Vec<Value> = summary.types.iter().map(json_type).collect();
    let mut object = json!({
        "source": source,
        "format": listing.format,
        "facts": facts,
        "summary": {
            "parameters": (!summary.is_packed()).then_some(summary.n_parameters), "bits_per_weight": summary.bits_per_weight(), "types": types,
        },
    });
    if parts.keys {
        let key = |key: &Key| json!({ "name": key.name, "type": key.kind, "value": key.value });
        object["keys"] = listing.keys.iter().map(key).collect();
    }
    if parts.tensors {
        let tensor = |tensor: &Tensor| {
            let mut object = json!({
                "name": tensor.name, "type": tensor.kind, "shape": tensor.shape,
                "bytes": tensor.n_bytes, "offset": tensor.offset,
            });
            if let Some(fidelity) = &tensor.fidelity {
                object["fidelity"] = fidelity::json(fidelity);
            }
            object
        };
        object["tensors"] = listing.tensors.iter().map(tensor).collect();
    }
    object["bytes"] = json!({
        "header": listing.header_bytes, "tensors": listing.tensor_bytes(),
        "padding": listing.padding_bytes(), "file": listing.n_bytes,
    });
    object
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{}\"", abbreviated(text, MAX_TEXT)),
        Value::Array(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
        Value::Object(cut) => {
            let first = cut.get("first").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let first: Vec<String> = first.iter().map(shown).collect();
            let len = cut.get("length").map(ToString::to_string).unwrap_or_default();
            format!("[{}, …] ({len} elements)", first.join(", "))
        }
        other => other.to_string(),
    }
}

fn json_type(share: &TypeShare) -> Value {
    json!({
        "type": share.kind, "tensors": share.n_tensors,
        "parameters": share.n_parameters, "bytes": share.n_bytes,
    })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn listing() -> Listing {
        Listing {
            format: "GGUF",
            n_bytes: 160,
            facts: vec![("version", "3".to_owned())],
            keys: vec![
                Key { name: "a".to_owned(), kind: "text".to_owned(), value: json!("x\u{1b}"), whole: None },
                Key {
                    name: "tokens".to_owned(),
                    kind: "text[]".to_owned(),
                    value: json!({ "type": "text", "length": 3, "first": ["<s>"] }),
                    whole: Some(Vec::new()),
                },
            ],
            tensors: vec![Tensor {
                name: "w".to_owned(),
                kind: "F32",
                shape: vec![4, 2],
                is_fastest_first: true,
                offset: 96,
                n_bytes: 32,
                fidelity: None,
            }],
            header_bytes: 96,
        }
    }

    #[test]
    fn the_totals_sum_to_the_file() {
        let parts = Parts { keys: true, tensors: true };
        expect![[r#"
            x.gguf: GGUF
            version: 3
            parameters: 8
            bits per weight: 32.00
            types: F32 100.0 %

            2 keys
            a       text    "x\u{1b}"
            tokens  text[]  ["<s>", …] (3 elements)

            1 tensor
            name  type  shape   bytes  offset
            w     F32   [4, 2]     32      96

            header    96  bytes
            tensors   32  bytes
            padding   32  bytes
            file     160  bytes
        "#]]
        .assert_eq(&text(&listing(), "x.gguf", parts));
        let bytes = &json(&listing(), "x.gguf", parts)["bytes"];
        let sum: u64 =
            ["header", "tensors", "padding"].iter().map(|name| bytes[name].as_u64().unwrap()).sum();
        assert_eq!(sum, bytes["file"].as_u64().unwrap());
    }
}
