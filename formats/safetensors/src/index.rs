//! `model.safetensors.index.json`: maps tensors to shards.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The part of an index that is read; everything else is skipped without being built.
#[derive(Deserialize)]
struct Index {
    /// The file of each tensor.
    weight_map: BTreeMap<String, String>,
}

/// Reads the file of each tensor.
///
/// # Errors
/// A sentence that describes the error in the index.
pub fn shards(index: &[u8]) -> Result<BTreeMap<String, String>, String> {
    let index: Index =
        serde_json::from_slice(index).map_err(|error| format!("The index cannot be read: {error}"))?;
    for (tensor, shard) in &index.weight_map {
        if shard.contains(['/', '\\']) || shard.starts_with('.') {
            return Err(format!(
                "The index maps tensor `{tensor}` to `{shard}`; expected a file in the folder of the index"
            ));
        }
    }
    Ok(index.weight_map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_names_only_files_in_its_folder() {
        let good = br#"{"weight_map": {"a": "x-1.safetensors", "b": "x-2.safetensors"}}"#;
        assert_eq!(shards(good).unwrap()["b"], "x-2.safetensors");
        assert!(shards(br#"{"weight_map": {"a": "../x.safetensors"}}"#).is_err());
        assert!(shards(br"{}").is_err());
        assert!(shards(b"{").is_err());
    }
}
