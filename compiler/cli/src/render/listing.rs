//! What is in a file, as `mc inspect` shows it: facts, keys, tensors, and where the bytes are.

use mc_syntax::terminal::printable;
use serde_json::{Value, json};

use crate::render::fidelity::Fidelity;
use crate::render::printable::abbreviated;
use crate::render::summary::plural;
use crate::render::table::{Align, table};

/// Characters of a long text that are shown.
const MAX_TEXT: usize = 100;

/// The contents of one file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    /// What kind of file it is.
    pub(crate) format: &'static str,
    /// Length of the whole file.
    pub(crate) n_bytes: u64,
    /// A few facts that stand before all.
    pub(crate) facts: Vec<(&'static str, String)>,
    /// Named values, in the order of the file.
    pub(crate) keys: Vec<Key>,
    /// Tensors, in the order of the file.
    pub(crate) tensors: Vec<Tensor>,
    /// Bytes before the first tensor.
    pub(crate) header_bytes: u64,
}

/// A named value.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// Its name.
    pub(crate) name: String,
    /// The name of its type.
    pub(crate) kind: String,
    /// What it is; long arrays cut down already.
    pub(crate) value: Value,
}

/// One tensor.
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    /// Its name.
    pub(crate) name: String,
    /// The name of its type.
    pub(crate) kind: &'static str,
    /// Its dimensions, as the file writes them.
    pub(crate) shape: Vec<u64>,
    /// Where its bytes begin in the file.
    pub(crate) offset: u64,
    /// How many they are.
    pub(crate) n_bytes: u64,
    /// How near its numbers are to its source, where that is known.
    pub(crate) fidelity: Option<Fidelity>,
}

/// Which parts are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    /// The named values.
    pub(crate) keys: bool,
    /// The tensors.
    pub(crate) tensors: bool,
}

impl Listing {
    fn tensor_bytes(&self) -> u64 {
        self.tensors.iter().map(|tensor| tensor.n_bytes).sum()
    }

    /// Whatever is neither header nor tensor; readers refuse files whose tensors do not fit, so this is not negative.
    fn padding_bytes(&self) -> u64 {
        self.n_bytes.saturating_sub(self.header_bytes).saturating_sub(self.tensor_bytes())
    }

    /// The listing for people.
    pub(crate) fn text(&self, source: &str, parts: Parts) -> String {
        let mut text = format!("{}: {}\n", printable(source), self.format);
        for (name, value) in &self.facts {
            text.push_str(&format!("{name}: {}\n", printable(value)));
        }
        if parts.keys {
            text.push_str(&format!("\n{} key{}\n", self.keys.len(), plural(self.keys.len())));
            let row = |key: &Key| vec![key.name.clone(), key.kind.clone(), shown(&key.value)];
            text.push_str(&table(&[Align::Left; 3], &self.keys.iter().map(row).collect::<Vec<_>>()));
        }
        if parts.tensors {
            text.push_str(&format!("\n{} tensor{}\n", self.tensors.len(), plural(self.tensors.len())));
            text.push_str(&self.tensor_table());
        }
        text.push_str(&self.totals());
        text
    }

    fn tensor_table(&self) -> String {
        if self.tensors.is_empty() {
            return String::new();
        }
        let has_fidelity = self.tensors.iter().any(|tensor| tensor.fidelity.is_some());
        let mut rows = vec![["name", "type", "shape", "bytes", "offset"].map(str::to_owned).to_vec()];
        if has_fidelity {
            rows[0].extend(Fidelity::HEADINGS.map(str::to_owned));
        }
        for tensor in &self.tensors {
            let shape: Vec<String> = tensor.shape.iter().map(u64::to_string).collect();
            rows.push(vec![
                tensor.name.clone(),
                tensor.kind.to_owned(),
                format!("[{}]", shape.join(", ")),
                tensor.n_bytes.to_string(),
                tensor.offset.to_string(),
            ]);
            if let (Some(fidelity), Some(row)) = (&tensor.fidelity, rows.last_mut()) {
                row.extend(fidelity.cells());
            }
        }
        let mut columns = [Align::Right; 8];
        columns[..3].fill(Align::Left);
        table(&columns, &rows)
    }

    fn totals(&self) -> String {
        let rows: Vec<Vec<String>> = [
            ("header", self.header_bytes),
            ("tensors", self.tensor_bytes()),
            ("padding", self.padding_bytes()),
            ("file", self.n_bytes),
        ]
        .iter()
        .map(|(name, n_bytes)| vec![(*name).to_owned(), n_bytes.to_string(), "bytes".to_owned()])
        .collect();
        format!("\n{}", table(&[Align::Left, Align::Right, Align::Left], &rows))
    }

    /// The listing for programs.
    pub(crate) fn json(&self, source: &str, parts: Parts) -> Value {
        let facts: serde_json::Map<String, Value> =
            self.facts.iter().map(|(name, value)| (name.replace(' ', "_"), json!(value))).collect();
        let mut object = json!({ "source": source, "format": self.format, "facts": facts });
        if parts.keys {
            let key = |key: &Key| json!({ "name": key.name, "type": key.kind, "value": key.value });
            object["keys"] = self.keys.iter().map(key).collect();
        }
        if parts.tensors {
            let tensor = |tensor: &Tensor| {
                let mut object = json!({
                    "name": tensor.name, "type": tensor.kind, "shape": tensor.shape,
                    "bytes": tensor.n_bytes, "offset": tensor.offset,
                });
                if let Some(fidelity) = &tensor.fidelity {
                    object["fidelity"] = fidelity.json();
                }
                object
            };
            object["tensors"] = self.tensors.iter().map(tensor).collect();
        }
        object["bytes"] = json!({
            "header": self.header_bytes, "tensors": self.tensor_bytes(),
            "padding": self.padding_bytes(), "file": self.n_bytes,
        });
        object
    }
}

/// A long array by its type, its length and its first elements.
pub(crate) fn cut_array(kind: &str, first: Vec<Value>, len: usize) -> Value {
    if first.len() == len {
        return Value::Array(first);
    }
    json!({ "type": kind, "length": len, "first": first })
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
                Key { name: "a".to_owned(), kind: "text".to_owned(), value: json!("x\u{1b}") },
                Key {
                    name: "tokens".to_owned(),
                    kind: "text[]".to_owned(),
                    value: cut_array("text", vec![json!("<s>")], 3),
                },
            ],
            tensors: vec![Tensor {
                name: "w".to_owned(),
                kind: "F32",
                shape: vec![4, 2],
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
        .assert_eq(&listing().text("x.gguf", parts));
        let bytes = &listing().json("x.gguf", parts)["bytes"];
        let sum: u64 =
            ["header", "tensors", "padding"].iter().map(|name| bytes[name].as_u64().unwrap()).sum();
        assert_eq!(sum, bytes["file"].as_u64().unwrap());
    }
}
