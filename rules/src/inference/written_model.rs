//! A model as an exporter wrote it, in files that do not describe themselves.
//!
//! It is what the rule of such a format knows at analysis, and all that is needed to run the files besides the model
//! from which they were made: `inference::written` opens it.

use mc_exporter::plane::{EncodedTensor, Plane};
use mc_ir::action::Artifact;

/// The files of a model, and the tensors in them.
#[derive(Clone, Debug, PartialEq)]
pub struct WrittenModel {
    /// The files, each with its path in the folder of the model, in the order of
    /// [`mc_exporter::exporter::Exporter::files`].
    pub files: Vec<(String, Artifact)>,
    /// The tensors, as the format laid them out.
    pub tensors: Vec<EncodedTensor>,
    /// Their planes, as the format laid them out.
    pub planes: Vec<Plane>,
}
