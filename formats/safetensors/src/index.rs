//! `model.safetensors.index.json`: which shard holds which tensor.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What we read of an index: all else in it is skipped, not built.
#[derive(Deserialize)]
struct Index {
    /// The file of each tensor.
    weight_map: BTreeMap<String, String>,
}

/// The shards, sorted, without doubles.
///
/// # Errors
/// A sentence that says what is wrong with the index.
pub fn shards(index: &[u8]) -> Result<BTreeMap<String, String>, String> {
    let index: Index =
        serde_json::from_slice(index).map_err(|error| format!("The index cannot be read: {error}"))?;
    for (tensor, shard) in &index.weight_map {
        if shard.contains(['/', '\\']) || shard.starts_with('.') {
            return Err(format!(
                "Tensor `{tensor}` of the index is in `{shard}`; expected a file beside the index"
            ));
        }
    }
    Ok(index.weight_map)
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
