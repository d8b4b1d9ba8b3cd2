//! `model.safetensors.index.json`: which shard holds which tensor.

use std::collections::BTreeMap;

use serde_json::Value;

/// The shards, sorted, without doubles.
///
/// # Errors
/// A sentence that says what is wrong with the index.
pub fn shards(index: &[u8]) -> Result<BTreeMap<String, String>, String> {
    let json: Value =
        serde_json::from_slice(index).map_err(|error| format!("The index is not valid JSON: {error}"))?;
    let map = json.get("weight_map").and_then(Value::as_object).ok_or("The index has no `weight_map`")?;
    let mut shards = BTreeMap::new();
    for (tensor, shard) in map {
        let shard =
            shard.as_str().ok_or_else(|| format!("Tensor `{tensor}` of the index has no file name"))?;
        if shard.contains(['/', '\\']) || shard.starts_with('.') {
            return Err(format!(
                "Tensor `{tensor}` of the index is in `{shard}`; expected a file beside the index"
            ));
        }
        shards.insert(tensor.clone(), shard.to_owned());
    }
    Ok(shards)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_names_files_beside_it_only() {
        let good = br#"{"weight_map": {"a": "x-1.safetensors", "b": "x-2.safetensors"}}"#;
        assert_eq!(shards(good).unwrap()["b"], "x-2.safetensors");
        assert!(shards(br#"{"weight_map": {"a": "../x.safetensors"}}"#).is_err());
        assert!(shards(br"{}").is_err());
        assert!(shards(b"{").is_err());
    }
}
