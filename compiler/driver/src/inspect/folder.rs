//! A folder with a model: a checkpoint of Hugging Face with its shards, an adapter, or a bundle.
//!
//! The files of a model are looked at as if they stood one after the other, so that offsets are those in the joined
//! files.

use std::path::Path;
use std::sync::Arc;

use mc_files::regular;
use mc_ir::action::{Content, Piece};
use mc_rules::exporters;
use mc_safetensors::index::shards;
use mc_store::mapping::MappedFile;
use serde_json::Value;

use crate::inspect::error::InspectError;
use crate::inspect::listing::Listing;
use crate::inspect::planes::{self, FoundTensors};
use crate::inspect::read::{head, list};
use crate::inspect::safetensors;
use crate::inspect::target::model_file;

/// Beginnings of the names of files with weights, and what such a folder is.
const STEMS: [(&str, &str); 2] = [("model", "checkpoint"), ("adapter_model", "adapter")];

/// The file that identifies a bundle.
const MANIFEST: &str = "manifest.json";

/// The most bytes of an index or a configuration.
const MAX_TEXT: u64 = 256 << 20;

/// The model in a folder.
pub struct ModelFolder {
    /// Its contents.
    pub listing: Listing,
    /// Its bytes, one file after the other.
    pub content: Content,
    /// True if it is a checkpoint of Hugging Face.
    pub is_checkpoint: bool,
}

/// Opens the model in a folder.
///
/// # Errors
/// If the folder holds no model or several, or a file of it cannot be read.
pub fn open(path: &str) -> Result<ModelFolder, InspectError> {
    let folder = Path::new(path);
    let failed = |source| InspectError::NotFound { path: path.to_owned(), source };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        // No file of a model is named otherwise.
        names.extend(name.into_string().ok());
    }
    names.sort();
    for (stem, what) in STEMS {
        let single = format!("{stem}.safetensors");
        let index = format!("{single}.index.json");
        if names.contains(&index) {
            return checkpoint(path, what, indexed(folder, &index)?);
        }
        if names.contains(&single) {
            return checkpoint(path, what, vec![single]);
        }
    }
    if let Some(name) = names.iter().find(|name| exporters::of_main_file(name).is_some()) {
        return written(path, &names, name);
    }
    file_in(path, &names)
}

/// The model in a format whose files do not describe themselves; with a manifest beside it, that of a bundle.
fn written(path: &str, names: &[String], name: &str) -> Result<ModelFolder, InspectError> {
    let file = Path::new(path).join(name);
    let found = planes::list_at(&file).transpose()?;
    let FoundTensors { mut listing, content } =
        found.ok_or_else(|| InspectError::UnknownFormat { source_name: name.to_owned(), start: None })?;
    listing.facts = vec![("files", names.join(", ")), ("model", format!("{name} ({})", listing.format))];
    if names.iter().any(|name| name == MANIFEST) {
        listing.format = "bundle";
    }
    Ok(ModelFolder { listing, content, is_checkpoint: false })
}

/// The shards that an index lists, sorted.
fn indexed(folder: &Path, index: &str) -> Result<Vec<String>, InspectError> {
    let path = folder.join(index);
    let what = || format!("`{}`", path.display());
    let unreadable = |reason: String| InspectError::Unreadable { what: what(), reason };
    let bytes = regular::read(&path, MAX_TEXT).map_err(|error| unreadable(error.to_string()))?;
    let mut names: Vec<String> = shards(&bytes).map_err(unreadable)?.into_values().collect();
    names.sort();
    names.dedup();
    Ok(names)
}

fn checkpoint(path: &str, what: &'static str, names: Vec<String>) -> Result<ModelFolder, InspectError> {
    let folder = Path::new(path);
    let mut joined = Listing {
        format: if what == "adapter" { "safetensors adapter" } else { "safetensors checkpoint" },
        facts: facts(folder, &names),
        ..Listing::default()
    };
    let mut parts = Vec::new();
    for name in &names {
        let shard = folder.join(name);
        let shown = shard.display().to_string();
        let file = MappedFile::open(&shard)
            .map_err(|error| InspectError::Open { path: shown.clone(), source: Box::new(error) })?;
        let listing = safetensors::listing(&file, file.len() as u64).map_err(|error| {
            InspectError::Unreadable { what: format!("`{shown}`"), reason: error.to_string() }
        })?;
        let start = joined.n_bytes;
        joined.n_bytes += listing.n_bytes;
        joined.header_bytes += listing.header_bytes;
        for key in listing.keys {
            if !joined.keys.iter().any(|known| known.name == key.name) {
                joined.keys.push(key);
            }
        }
        joined.tensors.extend(listing.tensors.into_iter().map(|mut tensor| {
            tensor.offset += start;
            tensor
        }));
        parts.push(Piece::whole(Arc::new(file)));
    }
    let is_checkpoint = what == "checkpoint";
    Ok(ModelFolder { listing: joined, content: Content { parts }, is_checkpoint })
}

/// Facts from the configuration, and the files of the weights.
fn facts(folder: &Path, names: &[String]) -> Vec<(&'static str, String)> {
    let mut facts = vec![("files", names.join(", "))];
    for (file, keys) in [
        ("config.json", [("architecture", "architectures"), ("model type", "model_type")]),
        ("adapter_config.json", [("rank", "r"), ("alpha", "lora_alpha")]),
    ] {
        // A configuration that cannot be read is for `mc check` to report.
        let text = regular::read_text(&folder.join(file), MAX_TEXT).unwrap_or_default();
        let config: Value = serde_json::from_str(&text).unwrap_or_default();
        facts.extend(keys.iter().filter_map(|(fact, key)| Some((*fact, shown(config.get(key)?)))));
    }
    facts
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// The one model file of a folder, or the first of its series; with a manifest beside it, that of a bundle.
fn file_in(path: &str, names: &[String]) -> Result<ModelFolder, InspectError> {
    let wrong = |reason: String| InspectError::NotAModelFolder { path: path.to_owned(), reason };
    let files: Vec<&String> = names.iter().filter(|name| name.ends_with(".gguf")).collect();
    let is_later = |name: &&&String| name.contains("-of-") && !name.contains("-00001-of-");
    let file = match files.iter().filter(|name| !is_later(name)).collect::<Vec<_>>().as_slice() {
        [file] => (**file).clone(),
        [] => {
            return Err(wrong(
                "Expected `model.safetensors` or its index, `adapter_model.safetensors`, or a .gguf file; found none"
                    .to_owned(),
            ));
        }
        several => {
            let names: Vec<&str> = several.iter().map(|name| name.as_str()).collect();
            return Err(wrong(format!("Expected one model; found {}", names.join(", "))));
        }
    };
    let content = model_file(&format!("{}/{file}", path.trim_end_matches('/')))?;
    let listed = list(&file, &head(&content), content.n_bytes());
    let listed = listed.map_err(|reason| InspectError::Unreadable { what: format!("`{file}`"), reason })?;
    let mut listing =
        listed.ok_or_else(|| InspectError::UnknownFormat { source_name: file.clone(), start: None })?;
    let format = listing.format.to_owned();
    if names.iter().any(|name| name == MANIFEST) {
        listing.format = "bundle";
    }
    listing.facts.insert(0, ("files", names.join(", ")));
    listing.facts.insert(1, ("model", format!("{file} ({format})")));
    Ok(ModelFolder { listing, content, is_checkpoint: false })
}
