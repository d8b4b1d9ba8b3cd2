//! Publishes the outputs of a target below `mc-out/`.

use std::path::{Path, PathBuf};

use mc_ir::label::Label;
use mc_ir::output::Output;
use mc_store::error::StoreError;
use mc_store::materialize::tree::{Destination, Tree, TreeFile};

use crate::build::engine::Engine;
use crate::workspace::{OUT, Workspace};

/// A target with its published outputs.
#[derive(Clone, Debug)]
pub struct Published {
    /// Their folder.
    pub directory: PathBuf,
    /// Path in the folder, and the output.
    pub outputs: Vec<(String, Output)>,
}

/// Path of an output below `mc-out/`.
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

/// A target, and its outputs by their paths in its folder.
pub(crate) type TargetOutputs<'a> = (&'a Label, Vec<(String, Output)>);

/// Writes the outputs of each target into its folder, completely or not at all. The results are in the order of the
/// targets.
///
/// # Errors
/// If a blob is lost or a file cannot be written.
pub(crate) fn publish(
    engine: &Engine<'_>,
    workspace: &Workspace,
    targets: Vec<TargetOutputs<'_>>,
) -> Vec<Result<Published, StoreError>> {
    let trees: Vec<(PathBuf, Vec<TreeFile>)> =
        targets.iter().map(|(label, outputs)| (folder_below_out(label), files(outputs))).collect();
    let trees: Vec<Tree<'_>> = trees.iter().map(|(folder, files)| Tree { folder, files }).collect();
    let destination = Destination { base: &workspace.root, root: Path::new(OUT) };
    let results = engine.store.materialize(destination, &trees);
    let published = |((label, outputs), result): (TargetOutputs<'_>, Result<_, StoreError>)| {
        result.map(|_| Published { directory: directory(workspace, label), outputs })
    };
    targets.into_iter().zip(results).map(published).collect()
}

fn files(outputs: &[(String, Output)]) -> Vec<TreeFile> {
    let file =
        |(path, output): &(String, Output)| TreeFile { path: path.clone(), parts: output.parts().to_vec() };
    outputs.iter().map(file).collect()
}
