//! Lists the contents of a GGUF file.

use mc_exporter::listing::{IMPORTANCE_MATRIX, Key, Listing, Tensor, cut_array};
use serde_json::{Value, json};

use crate::reader::{Gguf, GgufError, TensorInfo};
use crate::value::Value as GgufValue;

/// Number of elements shown of a long array.
const MAX_ITEMS: usize = 6;

/// Lists a file, given its head and its length.
pub(crate) fn listing(head: &[u8], n_bytes: u64) -> Result<Listing, GgufError> {
    let gguf = Gguf::parse(head, n_bytes)?;
    let is_imatrix = gguf.key("general.type").and_then(GgufValue::as_text) == Some("imatrix");
    let key = |(name, value): &(String, GgufValue)| Key {
        name: name.clone(),
        kind: kind(value),
        value: shown(value),
        whole: value.as_array().filter(|array| array.len() > MAX_ITEMS).map(|_| {
            let mut bytes = Vec::new();
            value.write(&mut bytes);
            bytes
        }),
    };
    let tensor = |tensor: &TensorInfo| Tensor {
        name: tensor.name.clone(),
        kind: tensor.kind.name,
        shape: tensor.dims.clone(),
        is_fastest_first: true,
        offset: tensor.start,
        n_bytes: tensor.end - tensor.start,
    };
    Ok(Listing {
        format: if is_imatrix { IMPORTANCE_MATRIX } else { "GGUF" },
        n_bytes,
        facts: vec![("version", gguf.version.to_string()), ("alignment", gguf.alignment.to_string())],
        keys: gguf.keys.iter().map(|one| key(one)).collect(),
        tensors: gguf.tensors.iter().map(|one| tensor(one)).collect(),
        // A file without tensors may end before the start of the data section.
        header_bytes: gguf.data_start.min(n_bytes),
    })
}

fn kind(value: &GgufValue) -> String {
    match value {
        GgufValue::Array(array) => format!("{}[]", type_name(array.type_id())),
        other => type_name(other.type_id()).to_owned(),
    }
}

fn type_name(type_id: u32) -> &'static str {
    const NAMES: [&str; 13] =
        ["u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "text", "array", "u64", "i64", "f64"];
    usize::try_from(type_id).ok().and_then(|index| NAMES.get(index)).copied().unwrap_or("unknown")
}

fn shown(value: &GgufValue) -> Value {
    match value {
        GgufValue::U8(number) => json!(number),
        GgufValue::I8(number) => json!(number),
        GgufValue::U16(number) => json!(number),
        GgufValue::I16(number) => json!(number),
        GgufValue::U32(number) => json!(number),
        GgufValue::I32(number) => json!(number),
        GgufValue::F32(number) => float(f64::from(*number), number.to_string()),
        GgufValue::Bool(truth) => json!(truth),
        GgufValue::Text(text) => json!(text),
        GgufValue::U64(number) => json!(number),
        GgufValue::I64(number) => json!(number),
        GgufValue::F64(number) => float(*number, number.to_string()),
        GgufValue::Array(array) => {
            let first = array.items().take(MAX_ITEMS).map(|item| shown(&item)).collect();
            cut_array(type_name(array.type_id()), first, array.len())
        }
    }
}

/// The shortest decimal that reads back as the number. Non-finite numbers have no JSON form and
/// become text.
fn float(number: f64, text: String) -> Value {
    match text.parse::<f64>() {
        Ok(short) if number.is_finite() => json!(short),
        _ => json!(text),
    }
}
