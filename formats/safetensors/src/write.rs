//! Writes a safetensors header: the same tensors always give the same bytes.

use mc_tensor::dtype::DType;
use serde_json::json;

/// The bytes before the tensors of a file; the tensors follow in the given order, without gaps.
///
/// The header is padded with spaces so that the tensors start at a multiple of 8, as in the reference implementation.
pub fn header(tensors: &[(String, DType, Vec<u64>)]) -> Vec<u8> {
    header_with(&[("format", "pt".to_owned())], tensors)
}

/// Like [`header`], with other metadata: names and texts, in this order.
pub fn header_with(metadata: &[(&str, String)], tensors: &[(String, DType, Vec<u64>)]) -> Vec<u8> {
    let text = |(name, text): &(&str, String)| ((*name).to_owned(), json!(text));
    let metadata: serde_json::Map<_, _> = metadata.iter().map(text).collect();
    let mut object = serde_json::Map::new();
    object.insert("__metadata__".to_owned(), metadata.into());
    let mut start = 0;
    for (name, dtype, shape) in tensors {
        let end = start + shape.iter().product::<u64>() * dtype.n_bytes() as u64;
        let entry = json!({"dtype": dtype.name(), "shape": shape, "data_offsets": [start, end]});
        object.insert(name.clone(), entry);
        start = end;
    }
    let mut text = serde_json::Value::Object(object).to_string();
    while !text.len().is_multiple_of(8) {
        text.push(' ');
    }
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::Header;

    #[test]
    fn a_written_header_reads_back_here_and_elsewhere() {
        let tensors = [("b".to_owned(), DType::F32, vec![2, 2]), ("a".to_owned(), DType::BF16, vec![3])];
        let mut bytes = header(&tensors);
        assert!(bytes.len().is_multiple_of(8));
        bytes.resize(bytes.len() + 22, 0);
        let read = Header::parse(&bytes, bytes.len() as u64).unwrap();
        assert_eq!(read.tensor("a").unwrap().shape, [3]);
        let other = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(other.tensor("b").unwrap().shape(), [2, 2]);
        assert_eq!(read.metadata["format"], "pt");
        let named = header_with(&[("a", "1".to_owned()), ("b", "\"".to_owned())], &[]);
        let read = Header::parse(&named, named.len() as u64).unwrap();
        assert_eq!((read.metadata["a"].as_str(), read.metadata["b"].as_str()), ("1", "\""));
    }
}
