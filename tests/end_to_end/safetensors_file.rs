//! Edits safetensors files, including into invalid ones that no writer produces.

use std::path::Path;

use serde_json::Value;

use crate::sandbox::change_bytes;

/// Sets one number of a matrix in place.
#[track_caller]
pub(crate) fn set_element(path: &Path, tensor: &str, [row, column]: [u64; 2], value: f32) {
    change_bytes(path, |bytes| {
        let (header, data_start) = header(bytes);
        let tensor = &header[tensor];
        let bits = value.to_le_bytes();
        let element: &[u8] = match tensor["dtype"].as_str() {
            Some("F32") => &bits,
            Some("BF16") => &bits[2..],
            other => panic!("{other:?}"),
        };
        let index = row * tensor["shape"][1].as_u64().unwrap() + column;
        let start = tensor["data_offsets"][0].as_u64().unwrap() + index * element.len() as u64;
        let start = data_start + start as usize;
        bytes[start..start + element.len()].copy_from_slice(element);
    });
}

/// Writes the file with another header over the same data.
#[track_caller]
pub(crate) fn change_header(path: &Path, change: impl FnOnce(&mut Value)) {
    change_bytes(path, |bytes| {
        let (mut header, data_start) = header(bytes);
        change(&mut header);
        let mut text = header.to_string().into_bytes();
        text.resize(text.len().next_multiple_of(8), b' ');
        let n_header = (text.len() as u64).to_le_bytes();
        bytes.splice(..data_start, n_header.into_iter().chain(text));
    });
}

fn header(bytes: &[u8]) -> (Value, usize) {
    let data_start = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    (serde_json::from_slice(&bytes[8..data_start]).unwrap(), data_start)
}
