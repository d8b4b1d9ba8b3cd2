//! A GGUF that is spread over several files, as the one that it stands for: mapped, and not copied.

use std::fmt::Display;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use mc_gguf::reader::Gguf;
use mc_gguf::split::{Place, merge};
use mc_ir::action::{Bytes, Content, Piece};

use crate::inspect::error::InspectError;
use crate::inspect::file::map_file;

/// The whole model that the named file is the first of; `None` if its name does not tell of a series.
pub(crate) fn whole(path: &str) -> Result<Option<Content>, InspectError> {
    // A file that is not there is told as any other.
    let Some(place) = Place::of(path).filter(|_| Path::new(path).is_file()) else { return Ok(None) };
    let path = path.to_owned();
    if place.number != 1 {
        let first = place.names().swap_remove(0);
        let (number, count) = (place.number, place.count);
        return Err(InspectError::NotTheFirst { path, number, count, first });
    }
    let names = place.names();
    if let Some(missing) = names.iter().find(|name| !Path::new(name).is_file()) {
        return Err(InspectError::MissingOfSeries { path, missing: missing.clone() });
    }
    let files: Vec<Content> = names.iter().map(|name| map_file(name)).collect::<Result<_, _>>()?;
    let mut heads = Vec::new();
    for (name, file) in names.iter().zip(&files) {
        let bytes = file.to_contiguous();
        let head = Gguf::parse(&bytes, file.n_bytes());
        heads.push(head.map_err(|error| unreadable(format!("`{name}`"), &error))?);
    }
    let merged = merge(&heads).map_err(|error| unreadable(format!("the series of `{path}`"), &error))?;
    let mut parts = vec![Piece::whole(Arc::new(merged.layout.head))];
    for (stretch, (file, range)) in merged.layout.tensors.iter().zip(merged.tensors) {
        parts.push(piece(&files[file], range));
        if stretch.padding > 0 {
            let zeros: Bytes = Arc::new(vec![0_u8; stretch.padding as usize]);
            parts.push(Piece::whole(zeros));
        }
    }
    Ok(Some(Content { parts }))
}

fn unreadable(what: String, error: &dyn Display) -> InspectError {
    InspectError::Unreadable { what, reason: error.to_string() }
}

fn piece(file: &Content, range: Range<u64>) -> Piece {
    file.piece(range)
        .expect("a parsed head has checked each tensor against its file, which is mapped in one piece")
}
