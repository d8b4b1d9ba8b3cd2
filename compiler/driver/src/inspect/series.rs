//! A model that is split over several files, presented as one file: mapped, not copied.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use mc_exporter::container::Container;
use mc_exporter::series::{Joined, Series};
use mc_ir::action::{Content, Piece};
use mc_rules::exporters;

use crate::inspect::error::InspectError;
use crate::inspect::file::map_file;

/// The whole model, given its first file; `None` if the file's name is not part of a series.
pub(crate) fn whole(path: &str) -> Result<Option<Content>, InspectError> {
    // A missing file is reported as any other.
    let mut reported =
        exporters::containers().filter_map(|container| Some((container, container.series(path)?)));
    let Some((container, series)) = reported.next().filter(|_| Path::new(path).is_file()) else {
        return Ok(None);
    };
    joined(container, path.to_owned(), series).map(Some)
}

fn joined(container: &dyn Container, path: String, series: Series) -> Result<Content, InspectError> {
    let Series { number, mut names } = series;
    if number != 1 {
        let count = names.len() as u32;
        return Err(InspectError::NotTheFirst { path, number, count, first: names.swap_remove(0) });
    }
    if let Some(missing) = names.iter().find(|name| !Path::new(name).is_file()) {
        return Err(InspectError::MissingOfSeries { path, missing: missing.clone() });
    }
    let files: Vec<Content> = names.iter().map(|name| map_file(name)).collect::<Result<_, _>>()?;
    let bytes: Vec<_> = files.iter().map(Content::to_contiguous).collect();
    let bytes: Vec<&[u8]> = bytes.iter().map(AsRef::as_ref).collect();
    let parts = container.join(&bytes).map_err(|(file, error)| {
        let what = match file.and_then(|file| names.get(file)) {
            Some(name) => format!("`{name}`"),
            None => format!("the series of `{path}`"),
        };
        InspectError::Unreadable { what, reason: error.message }
    })?;
    let part = |part| match part {
        Joined::Bytes(bytes) => Piece::whole(Arc::new(bytes)),
        Joined::Range { file, range } => piece(&files[file], range),
    };
    Ok(Content { parts: parts.into_iter().map(part).collect() })
}

fn piece(file: &Content, range: Range<u64>) -> Piece {
    file.piece(range)
        .expect("a parsed head has checked each tensor against its file, which is mapped in one piece")
}
