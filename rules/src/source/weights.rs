//! The weights in a folder: the tensors in its safetensors files, with the sources of their bytes.
//!
//! Pickled weights (`.bin`, `.pt`) are refused, because reading them executes code.

use std::collections::BTreeMap;

use mc_ir::action::{Range64, Source};
use mc_ir::attribute::Place;
use mc_ir::rule::{HeadFormat, RuleContext, SourceError};
use mc_ir::rule_error::RuleError;
use mc_safetensors::header::Header;
use mc_safetensors::index::shards;
use mc_tensor::dtype::DType;

use crate::attributes::{shown_path, source_error};

/// A tensor in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTensor {
    /// Its name in the file.
    pub name: String,
    /// Type of its elements.
    pub dtype: DType,
    /// Row-major shape, slowest dimension first.
    pub shape: Vec<u64>,
    /// Its bytes.
    pub source: Source,
    /// The file, relative to the workspace's root, for messages.
    pub file: String,
}

/// Returns the tensors of `STEM.safetensors`, or of the shards that `STEM.safetensors.index.json` lists, in
/// the order of their names, shard after shard.
///
/// * `folder`, `files`: the folder relative to the package, and the names in it
///
/// # Errors
/// An error at `place` if there is no such file, or if one is corrupt.
pub(crate) fn stored_tensors(
    ctx: &dyn RuleContext,
    place: Place,
    folder: &str,
    files: &[String],
    stem: &str,
) -> Result<Vec<StoredTensor>, Vec<RuleError>> {
    let single = format!("{stem}.safetensors");
    let index = format!("{single}.index.json");
    if files.contains(&index) {
        return sharded(ctx, place, folder, files, &index);
    }
    if files.contains(&single) {
        return file_tensors(ctx, place, &joined(folder, &single));
    }
    let pickled = files
        .iter()
        .find(|name| [".bin", ".pt", ".pth", ".ckpt"].iter().any(|extension| name.ends_with(extension)));
    let rule_error = match pickled {
        Some(name) => RuleError::new(
            place,
            "weights::pickled",
            format!(
                "`{}` is pickled: reading it would run the program inside",
                shown_path(ctx, &joined(folder, name))
            ),
        )
        .help(
            "Convert it to safetensors in a sandbox: `model.save_pretrained(folder, safe_serialization=True)`",
        ),
        None => RuleError::new(
            place,
            "weights::missing",
            format!("There is neither `{single}` nor `{index}` in `{}`", shown_path(ctx, folder)),
        )
        .help("Put the weights there, as Hugging Face stores them")
        .absence(),
    };
    Err(vec![rule_error])
}

fn sharded(
    ctx: &dyn RuleContext,
    place: Place,
    folder: &str,
    files: &[String],
    index: &str,
) -> Result<Vec<StoredTensor>, Vec<RuleError>> {
    let path = joined(folder, index);
    let rule_error =
        |message: String| vec![RuleError::new(place, "weights::index", message).file(shown_path(ctx, &path))];
    let bytes = ctx.read(&path).map_err(|error| vec![source_error(place, "weights::index", &error)])?;
    let shard_of = shards(&bytes).map_err(&rule_error)?;
    let mut names: Vec<&String> = shard_of.values().collect();
    names.sort();
    names.dedup();
    let mut tensors = Vec::new();
    for name in names {
        if !files.contains(name) {
            let message = format!("The index lists the shard `{name}`, which does not exist; fetch it");
            return Err(rule_error(message).into_iter().map(RuleError::absence).collect());
        }
        tensors.extend(file_tensors(ctx, place, &joined(folder, name))?);
    }
    let stored: BTreeMap<&str, &str> =
        tensors.iter().map(|tensor| (tensor.name.as_str(), tensor.file.as_str())).collect();
    if stored.len() != tensors.len() {
        return Err(rule_error("Two shards hold a tensor of the same name".to_owned()));
    }
    for (tensor, shard) in &shard_of {
        if stored.get(tensor.as_str()) != Some(&shown_path(ctx, &joined(folder, shard)).as_str()) {
            return Err(rule_error(format!(
                "The index lists `{tensor}` in `{shard}`, which does not contain it"
            )));
        }
    }
    Ok(tensors)
}

fn file_tensors(
    ctx: &dyn RuleContext,
    place: Place,
    path: &str,
) -> Result<Vec<StoredTensor>, Vec<RuleError>> {
    let head =
        ctx.read_head(path, HeadFormat::Safetensors).map_err(|error| vec![unreadable(place, &error)])?;
    let header = Header::parse(&head.bytes, head.n_bytes).map_err(|error| {
        vec![RuleError::new(place, "weights::header", error.to_string()).file(shown_path(ctx, path))]
    })?;
    let file = ctx.source(path);
    let shown = shown_path(ctx, path);
    let tensor = |tensor: mc_safetensors::header::TensorInfo| StoredTensor {
        name: tensor.name,
        dtype: tensor.dtype,
        shape: tensor.shape,
        source: Source {
            path: file.path.clone(),
            range: Some(Range64 { start: tensor.start, end: tensor.end }),
        },
        file: shown.clone(),
    };
    Ok(by_name(header.tensors.into_iter().map(tensor).collect()))
}

/// Creates the error for a weight file that cannot be read. A file that is listed but does not exist, such as a link
/// into a cleared cache, is reported as absent.
fn unreadable(place: Place, error: &SourceError) -> RuleError {
    let rule_error = source_error(place, "weights::unreadable", error);
    if error.is_missing { rule_error.absence() } else { rule_error }
}

/// The order of the safetensors library. The order of the bytes differs if a file mixes types.
fn by_name(mut tensors: Vec<StoredTensor>) -> Vec<StoredTensor> {
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    tensors
}

/// Joins a folder and a name in it, relative to the package.
pub(crate) fn joined(folder: &str, name: &str) -> String {
    if folder.is_empty() || folder == "." { name.to_owned() } else { format!("{folder}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_types_come_first_in_a_file_and_not_in_the_list() {
        let stored = |name: &str, dtype, start| StoredTensor {
            name: name.to_owned(),
            dtype,
            shape: vec![1],
            source: Source {
                path: std::path::Path::new("model.safetensors").into(),
                range: Some(Range64 { start, end: start + 4 }),
            },
            file: "model.safetensors".to_owned(),
        };
        let file = vec![
            stored("b.weight_scale_inv", DType::F32, 0),
            stored("c.weight", DType::BF16, 4),
            stored("a.weight", DType::F8E4M3, 8),
            stored("b.weight", DType::F8E4M3, 12),
        ];
        let names: Vec<String> = by_name(file).into_iter().map(|tensor| tensor.name).collect();
        assert_eq!(names, ["a.weight", "b.weight", "b.weight_scale_inv", "c.weight"]);
    }
}
