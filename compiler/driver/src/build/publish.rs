//! Publishes the outputs of a target below `mc-out/`.

use std::path::{Path, PathBuf};

use mc_digest::digest::Digest;
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

/// The outputs of a target.
pub(crate) struct TargetOutputs<'a> {
    /// The target.
    pub(crate) label: &'a Label,
    /// The outputs by their paths in its folder.
    pub(crate) outputs: Vec<(String, Output)>,
    /// The results that they came of, directly or not, sorted.
    pub(crate) results: Vec<Digest>,
}

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
        targets.iter().map(|of| (folder_below_out(of.label), files(&of.outputs))).collect();
    let tree = |((folder, files), of)| {
        let TargetOutputs { results, .. }: &TargetOutputs<'_> = of;
        Tree { folder, files, results }
    };
    let trees: Vec<Tree<'_>> = trees
        .iter()
        .map(|(folder, files)| (folder.as_path(), files.as_slice()))
        .zip(&targets)
        .map(tree)
        .collect();
    let destination = Destination { base: &workspace.root, root: Path::new(OUT) };
    let results = engine.store.materialize(destination, &trees);
    let published = |(of, result): (TargetOutputs<'_>, Result<_, StoreError>)| {
        result.map(|_| Published { directory: directory(workspace, of.label), outputs: of.outputs })
    };
    targets.into_iter().zip(results).map(published).collect()
}

fn files(outputs: &[(String, Output)]) -> Vec<TreeFile> {
    let file =
        |(path, output): &(String, Output)| TreeFile { path: path.clone(), parts: output.parts().to_vec() };
    outputs.iter().map(file).collect()
}
