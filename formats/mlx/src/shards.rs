//! The weights as files of at most 5 GiB, and their index.

use std::ops::Range;

use mc_exporter::format_error::FormatError;
use mc_exporter::plane::{Part, Plane};
use mc_exporter::written_file::WrittenFile;
use mc_safetensors::write::header_with;

use crate::json_text::{JsonText, quoted};

/// The index of the tensors.
pub(crate) const INDEX_FILE: &str = "model.safetensors.index.json";

/// Bytes of the tensors of a file; a larger tensor has a file of its own.
const MAX_BYTES: u64 = 5 << 30;

/// The names of the files with the planes of each.
pub(crate) fn shards(planes: &[Plane]) -> Vec<(String, Range<usize>)> {
    let ranges = ranges(planes.iter().map(|plane| plane.n_bytes), MAX_BYTES);
    let n_files = ranges.len();
    let name = |number: usize| match n_files {
        1 => "model.safetensors".to_owned(),
        _ => format!("model-{number:05}-of-{n_files:05}.safetensors"),
    };
    (1..).zip(ranges).map(|(number, range)| (name(number), range)).collect()
}

/// Ranges of at most this many bytes, or of a single plane. There is at least one.
fn ranges(sizes: impl Iterator<Item = u64>, max: u64) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let (mut current, mut n_bytes) = (0..0, 0_u64);
    for size in sizes {
        if !current.is_empty() && n_bytes.saturating_add(size) > max {
            ranges.push(current.clone());
            (current, n_bytes) = (current.end..current.end, 0);
        }
        current.end += 1;
        n_bytes = n_bytes.saturating_add(size);
    }
    ranges.push(current);
    ranges
}

/// A file with a range of the planes.
///
/// # Errors
/// If a plane has a type that is unknown here.
pub(crate) fn file(name: String, planes: &[Plane], range: Range<usize>) -> Result<WrittenFile, FormatError> {
    let tensor = |plane: &Plane| {
        let dtype = plane.kind.parse().map_err(FormatError::new)?;
        Ok((plane.name.clone(), dtype, plane.dims.clone()))
    };
    let tensors: Vec<_> = planes[range.clone()].iter().map(tensor).collect::<Result<_, FormatError>>()?;
    let header = header_with(&[("format", "mlx".to_owned())], &tensors);
    let parts = [Part::Bytes(header)].into_iter().chain(range.map(Part::Plane)).collect();
    Ok(WrittenFile { name, parts })
}

/// The index.
///
/// * `n_parameters`: number of weights before they were encoded
pub(crate) fn index(planes: &[Plane], n_parameters: u64) -> String {
    let n_bytes: u64 = planes.iter().map(|plane| plane.n_bytes).sum();
    let mut files = JsonText::default();
    for (name, range) in shards(planes) {
        for plane in &planes[range] {
            files.set(&plane.name, quoted(&name));
        }
    }
    let mut index = JsonText::default();
    index.set("metadata", format!("{{\"total_size\": {n_bytes}, \"total_parameters\": {n_parameters}}}"));
    index.set("weight_map", files.to_line());
    index.to_lines()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_full_but_not_over_full() {
        let ends = |sizes: &[u64]| -> Vec<usize> {
            ranges(sizes.iter().copied(), 10).into_iter().map(|range| range.end).collect()
        };
        assert_eq!(ends(&[4, 6, 1, 12, 3]), [2, 3, 4, 5]);
        assert_eq!(ends(&[11]), [1]);
        assert_eq!(ends(&[]), [0]);
    }

    #[test]
    fn the_index_maps_every_plane_to_its_file() {
        let plane = |name: &str| Plane {
            tensor: 0,
            plane: 0,
            name: name.to_owned(),
            kind: "U32",
            dims: vec![1 << 30],
            n_bytes: 4 << 30,
        };
        let index = index(&[plane("b"), plane("a")], 7);
        let expected = "{\n    \"metadata\": {\n        \"total_size\": 8589934592,\n        \"total_parameters\": 7\n    },\n    \"weight_map\": {\n        \"a\": \"model-00002-of-00002.safetensors\",\n        \"b\": \"model-00001-of-00002.safetensors\"\n    }\n}";
        assert_eq!(index, expected);
    }
}
