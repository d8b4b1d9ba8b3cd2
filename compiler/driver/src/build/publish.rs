//! Brings the outputs of a target under `mc-out/`.

use std::path::{Path, PathBuf};

use mc_ir::label::Label;
use mc_ir::output::Output;
use mc_store::error::StoreError;
use mc_store::materialize::{Destination, TreeFile};

use crate::build::engine::Engine;
use crate::workspace::{OUT, Workspace};

/// A target whose outputs are in place.
#[derive(Clone, Debug)]
pub struct Published {
    /// Their folder.
    pub directory: PathBuf,
    /// Path in the folder, and the output.
    pub outputs: Vec<(String, Output)>,
}

/// The place of an output below `mc-out/`.
pub(crate) fn path_below_out(label: &Label, path: &str) -> String {
    let package = Some(&label.package.0).filter(|package| !package.is_empty());
    let words = [package.map(String::as_str), Some(&label.name), Some(path)];
    words.into_iter().flatten().collect::<Vec<_>>().join("/")
}

/// The folder of a target's outputs.
pub(crate) fn directory(workspace: &Workspace, label: &Label) -> PathBuf {
    workspace.out().join(folder_below_out(label))
}

fn folder_below_out(label: &Label) -> PathBuf {
    Path::new(&label.package.0).join(&label.name)
}

/// Puts the outputs into the target's folder, whole or not at all.
///
/// # Errors
/// If a blob is lost or a file cannot be written.
pub(crate) fn publish(
    engine: &Engine<'_>,
    workspace: &Workspace,
    label: &Label,
    outputs: Vec<(String, Output)>,
) -> Result<Published, StoreError> {
    let folder = folder_below_out(label);
    let directory = directory(workspace, label);
    let files: Vec<TreeFile> = outputs
        .iter()
        .map(|(path, output)| TreeFile { path: path.clone(), parts: output.parts().to_vec() })
        .collect();
    let destination = Destination { base: &workspace.root, root: Path::new(OUT), folder: &folder };
    engine.store.materialize(destination, &files)?;
    Ok(Published { directory, outputs })
}
