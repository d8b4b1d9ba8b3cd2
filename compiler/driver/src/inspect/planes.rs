//! The contents of a model in a format whose files do not describe themselves: the tensors that its files contain.

use std::path::Path;

use mc_exporter::exporter::Exporter;
use mc_exporter::planes_in_files::{FileBytes, FoundPlane};
use mc_ir::action::Content;
use mc_rules::exporters;
use mc_rules::inference::file_content::FileContent;

use crate::inspect::error::InspectError;
use crate::inspect::file::map_file;
use crate::inspect::listing::{Listing, Tensor};

/// The tensors in the files of a model.
pub struct FoundTensors {
    /// The tensors; offsets are those in the joined files.
    pub listing: Listing,
    /// The bytes of the files with tensors, one after the other.
    pub content: Content,
}

/// Finds the tensors in the files of a model.
///
/// * `files`: the names of the files, each with its content, in any order
///
/// Returns `None` if none of the files is one that a runtime opens.
///
/// # Errors
/// If a file is broken.
pub fn list(files: Vec<(String, Content)>) -> Option<Result<FoundTensors, InspectError>> {
    let main =
        files.iter().map(|(name, _)| last(name)).find(|name| exporters::of_main_file(name).is_some())?;
    let (main, exporter) = (main.to_owned(), exporters::of_main_file(main)?);
    Some(find(exporter, &main, files))
}

fn find(
    exporter: &dyn Exporter,
    main: &str,
    files: Vec<(String, Content)>,
) -> Result<FoundTensors, InspectError> {
    let contents: Vec<Content> = files.iter().map(|(_, content)| content.clone()).collect();
    let files: Vec<FileContent> =
        files.into_iter().map(|(name, content)| FileContent::new(&name, content)).collect();
    let read: Vec<&dyn FileBytes> = files.iter().map(|file| file as &dyn FileBytes).collect();
    let found = exporter.find_planes(&read);
    let found =
        found.map_err(|error| InspectError::Unreadable { what: format!("`{main}`"), reason: error.message });
    Ok(found_tensors(exporter.title(), &read, &contents, &found?))
}

/// Finds the tensors of the model that the file at a path belongs to, with the files beside it.
///
/// Returns `None` if no runtime opens a file with this name.
///
/// # Errors
/// If a file cannot be read, or is broken.
pub fn list_at(path: &Path) -> Option<Result<FoundTensors, InspectError>> {
    let exporter = exporters::of_main_file(path.file_name()?.to_str()?)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let files = beside(exporter, path, folder);
    Some(files.and_then(|files| find(exporter, last(&path.display().to_string()), files)))
}

/// The named file, and its parts beside it.
fn beside(
    exporter: &dyn Exporter,
    path: &Path,
    folder: &Path,
) -> Result<Vec<(String, Content)>, InspectError> {
    let shown = path.display().to_string();
    let mut files = vec![(shown.clone(), map_file(&shown)?)];
    let main = last(&shown).to_owned();
    let entries =
        std::fs::read_dir(folder).map_err(|source| InspectError::NotFound { path: shown, source })?;
    let mut parts: Vec<String> =
        entries.flatten().filter_map(|entry| entry.path().into_os_string().into_string().ok()).collect();
    parts.retain(|part| exporter.is_part(&main, last(part)));
    parts.sort();
    for part in parts {
        let content = map_file(&part)?;
        files.push((part, content));
    }
    Ok(files)
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn found_tensors(
    format: &'static str,
    files: &[&dyn FileBytes],
    contents: &[Content],
    planes: &[FoundPlane],
) -> FoundTensors {
    let mut used: Vec<usize> = planes.iter().map(|plane| plane.file).collect();
    used.sort_unstable();
    used.dedup();
    let names: Vec<&str> = used.iter().map(|file| last(files[*file].name())).collect();
    let (mut starts, mut n_bytes) = (vec![0; files.len()], 0);
    for file in &used {
        starts[*file] = n_bytes;
        n_bytes += files[*file].n_bytes();
    }
    let tensors: Vec<Tensor> = planes.iter().map(|plane| tensor(plane, starts[plane.file])).collect();
    let before_first = |file: &usize| {
        let of_file = planes.iter().filter(|plane| plane.file == *file);
        of_file.map(|plane| plane.range.start).min().unwrap_or(0)
    };
    let header_bytes = used.iter().map(before_first).sum();
    let facts = vec![("files", names.join(", "))];
    let parts = used.iter().flat_map(|file| contents[*file].parts.iter().cloned()).collect();
    FoundTensors {
        listing: Listing { format, n_bytes, facts, keys: Vec::new(), tensors, header_bytes },
        content: Content { parts },
    }
}

/// * `start`: offset of the plane's file in the joined files
fn tensor(plane: &FoundPlane, start: u64) -> Tensor {
    Tensor {
        name: plane.name.clone(),
        kind: plane.kind,
        shape: plane.dims.clone(),
        is_fastest_first: false,
        offset: start + plane.range.start,
        n_bytes: plane.range.end - plane.range.start,
        fidelity: None,
    }
}
