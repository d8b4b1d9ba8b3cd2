//! The provider of a file that was written: what it tells gates, bundles and the command line, whatever its format.

use mc_ir::action::Artifact;

use crate::source::dataset::DatasetInfo;
use crate::source::model_info::ModelInfo;

/// A model that was written.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportInfo {
    /// The format: [`crate::exporters::by_name`].
    pub format: &'static str,
    /// The file, whole: what gates measure and `mc run` runs.
    pub whole: Artifact,
    /// The files that are shipped: that one, or those that it is spread over.
    pub files: Vec<Artifact>,
    /// The reports of its tensors: see [`crate::quantize::tensor_report::read`].
    pub reports: Artifact,
    /// The model's name in it.
    pub name: String,
    /// Its encoding: a recipe's name.
    pub recipe: String,
    /// Bytes of all tensors.
    pub n_tensor_bytes: u64,
    /// The model that it was made of: what it computes, and the files of its tokenizer.
    pub model: ModelInfo,
    /// Its calibration text, if that is known.
    pub calibration: Option<DatasetInfo>,
}
