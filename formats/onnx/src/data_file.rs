//! The file beside the model that holds the bytes of the tensors, each at an aligned offset.

use mc_exporter::plane::{Part, Plane};
use mc_exporter::written_file::WrittenFile;

use crate::proto::DATA_FILE;
use crate::rotary_caches::RotaryCache;

/// Alignment of tensors of a page or more, so that a runtime can map them.
const PAGE: u64 = 4096;
/// Alignment of smaller tensors.
const SMALL: u64 = 64;

/// The file, and the offsets of the planes and of the rotary tables.
pub(crate) struct DataFile {
    /// The file.
    pub(crate) file: WrittenFile,
    /// The offset of each plane.
    pub(crate) planes: Vec<u64>,
    /// The offset of each table.
    pub(crate) caches: Vec<u64>,
}

impl DataFile {
    /// Lays out the file: the planes, then the tables.
    pub(crate) fn new(planes: &[Plane], caches: &[RotaryCache]) -> Self {
        let mut parts = Vec::new();
        let mut at = 0;
        let mut place = |n_bytes: u64, part: Part| {
            let alignment = if n_bytes < PAGE { SMALL } else { PAGE };
            let offset = at + (alignment - at % alignment) % alignment;
            if offset > at {
                parts.push(Part::Zeros(offset - at));
            }
            parts.push(part);
            at = offset + n_bytes;
            offset
        };
        let of_planes =
            (0..).zip(planes).map(|(index, plane)| place(plane.n_bytes, Part::Plane(index))).collect();
        let of_caches =
            caches.iter().map(|cache| place(cache.n_bytes(), Part::Bytes(cache.bytes()))).collect();
        let file = WrittenFile { name: DATA_FILE.to_owned(), parts };
        Self { file, planes: of_planes, caches: of_caches }
    }
}
