//! Provider of an exported file for gates, bundles and the command line, independent of its format.

use mc_ir::action::Artifact;

use crate::source::dataset::DatasetInfo;
use crate::source::model_info::ModelInfo;

/// An exported model.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportInfo {
    /// The format: [`crate::exporters::by_name`].
    pub format: &'static str,
    /// The whole file, which gates measure and `mc run` runs.
    pub whole: Artifact,
    /// The files to ship: the whole file, or those into which it is split.
    pub files: Vec<Artifact>,
    /// The reports of its tensors: see [`crate::quantize::tensor_report::read`].
    pub reports: Artifact,
    /// The model's name in it.
    pub name: String,
    /// Its encoding: a recipe's name.
    pub recipe: String,
    /// Bytes of all tensors.
    pub n_tensor_bytes: u64,
    /// The model from which it was made: its program, and the files of its tokenizer.
    pub model: ModelInfo,
    /// Its calibration text, if that is known.
    pub calibration: Option<DatasetInfo>,
}
