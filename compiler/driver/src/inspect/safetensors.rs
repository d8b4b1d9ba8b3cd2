//! A safetensors file as a listing.

use mc_safetensors::header::{Header, SafetensorsError, head_bytes};
use serde_json::json;

use crate::inspect::listing::{Key, Listing, Tensor};

/// Lists a file by its head and its length.
pub(crate) fn listing(head: &[u8], n_bytes: u64) -> Result<Listing, SafetensorsError> {
    let header = Header::parse(head, n_bytes)?;
    let tensor = |tensor: &mc_safetensors::header::TensorInfo| Tensor {
        name: tensor.name.clone(),
        kind: tensor.dtype.name(),
        shape: tensor.shape.clone(),
        offset: tensor.start,
        n_bytes: tensor.end - tensor.start,
        is_fastest_first: false,
        fidelity: None,
    };
    let key = |(name, value): (&String, &String)| Key {
        name: name.clone(),
        kind: "text".to_owned(),
        value: json!(value),
        whole: None,
    };
    Ok(Listing {
        format: "safetensors",
        n_bytes,
        facts: Vec::new(),
        keys: header.metadata.iter().map(key).collect(),
        tensors: header.tensors.iter().map(tensor).collect(),
        header_bytes: head_bytes(head, n_bytes)?,
    })
}
