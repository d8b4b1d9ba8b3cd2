//! Provider of an exported file for gates, bundles and the command line, independent of its format.

use std::sync::Arc;

use mc_digest::content_hash::ContentHash;
use mc_exporter::identity::Identity;
use mc_exporter::plane::Plane;
use mc_ir::action::Artifact;

use crate::inference::written_model::WrittenModel;
use crate::source::dataset::DatasetInfo;
use crate::source::model_info::ModelInfo;

/// An exported model.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportInfo {
    /// The format: [`crate::exporters::by_name`].
    pub format: &'static str,
    /// The whole file, which gates measure and `mc run` runs.
    pub whole: Artifact,
    /// The files to ship: the whole file, those into which it is split, or a folder of files.
    pub files: Vec<Artifact>,
    /// The names of these files in the folder of the model, if runtimes require names.
    pub file_names: Vec<String>,
    /// The files and the tensors in them, if the format has no reader for whole files.
    pub written: Option<Arc<WrittenModel>>,
    /// The reports of its tensors: see [`crate::quantize::tensor_report::read`].
    pub reports: Artifact,
    /// The model's name in it.
    pub name: String,
    /// The facts that are published about it in the file.
    pub identity: Identity,
    /// Its encoding: a recipe's name; for a copy, the recipe that matches its types, or its main type.
    pub recipe: String,
    /// The types of its tensors, each with its number of tensors and bytes; the type with the most bytes is first.
    pub types: Vec<TypeShare>,
    /// Bytes of all tensors.
    pub n_tensor_bytes: u64,
    /// The model from which it was made: its program and its tokenizer files.
    pub model: ModelInfo,
    /// The calibration text of its imatrix, if it has one and the text is known.
    pub calibration: Option<DatasetInfo>,
}

/// The tensors of a file that have the same type.
#[derive(Clone, ContentHash, Debug, PartialEq, Eq)]
#[content("type-share")]
pub struct TypeShare {
    /// The type, as the format names it.
    #[content("type")]
    pub kind: String,
    /// Number of tensors.
    #[content("tensors")]
    pub n_tensors: u64,
    /// Bytes of these tensors.
    #[content("bytes")]
    pub n_bytes: u64,
}

/// The types of planes; the type with the most bytes is first.
pub(crate) fn type_shares<'a>(planes: impl Iterator<Item = &'a Plane>) -> Vec<TypeShare> {
    let mut shares: Vec<TypeShare> = Vec::new();
    for plane in planes {
        let known = shares.iter().position(|share| share.kind == plane.kind);
        let index = known.unwrap_or_else(|| {
            shares.push(TypeShare { kind: plane.kind.to_owned(), n_tensors: 0, n_bytes: 0 });
            shares.len() - 1
        });
        shares[index].n_tensors += 1;
        shares[index].n_bytes += plane.n_bytes;
    }
    shares.sort_by(|one, other| (other.n_bytes, &one.kind).cmp(&(one.n_bytes, &other.kind)));
    shares
}
