//! Maps files.

use std::path::Path;
use std::sync::Arc;

use mc_ir::action::{Content, Piece};
use mc_store::mapping::MappedFile;

use crate::inspect::error::InspectError;

/// Maps a file.
///
/// # Errors
/// If there is no such file, or it cannot be mapped.
pub fn map_file(text: &str) -> Result<Content, InspectError> {
    let path = || text.to_owned();
    match Path::new(text).metadata() {
        Err(source) => return Err(InspectError::NotFound { path: path(), source }),
        Ok(metadata) if !metadata.is_file() => return Err(InspectError::NotAFile { path: path() }),
        Ok(_) => {}
    }
    let file = MappedFile::open(Path::new(text))
        .map_err(|error| InspectError::Open { path: path(), source: Box::new(error) })?;
    Ok(Content { parts: vec![Piece::whole(Arc::new(file))] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_distinguished_from_one_that_cannot_be_mapped() {
        let Err(error) = map_file("/nowhere/model.gguf") else { panic!("there is no such file") };
        assert!(matches!(error, InspectError::NotFound { .. }), "{error}");
    }
}
