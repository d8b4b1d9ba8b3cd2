//! The planes in the files of a folder, found by reading the headers of its safetensors files.

use mc_exporter::format_error::FormatError;
use mc_exporter::planes_in_files::{FileBytes, FoundPlane};
use mc_safetensors::header::{Header, head_bytes};

/// The planes of all files; other files of the folder are skipped.
///
/// # Errors
/// If a header is broken.
pub(crate) fn find(files: &[&dyn FileBytes]) -> Result<Vec<FoundPlane>, FormatError> {
    let mut found = Vec::new();
    for (number, file) in files.iter().enumerate().filter(|(_, file)| file.name().ends_with(".safetensors")) {
        let n_bytes = file.n_bytes();
        let first = file.read(0..n_bytes.min(8))?;
        let end = head_bytes(&first, n_bytes).map_err(FormatError::new)?;
        let header = Header::parse(&file.read(0..end)?, n_bytes).map_err(FormatError::new)?;
        found.extend(header.tensors.into_iter().map(|tensor| FoundPlane {
            name: tensor.name,
            kind: tensor.dtype.name(),
            dims: tensor.shape,
            file: number,
            range: tensor.start..tensor.end,
        }));
    }
    Ok(found)
}
