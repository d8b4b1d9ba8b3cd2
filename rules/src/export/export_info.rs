//! Provider of an exported file for gates, bundles and the command line, independent of its format.

use std::sync::Arc;

use mc_digest::content_hash::ContentHash;
use mc_encoding::stored_form::StoredForm;
use mc_exporter::identity::Identity;
use mc_exporter::plane::Plane;
use mc_ir::action::Artifact;

use crate::export::tensor_actions::{Plan, Planned};
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

impl ExportInfo {
    /// The files whose size counts: the whole file, even if it ships in pieces, or the files of a folder.
    pub(crate) fn measured_files(&self) -> Vec<Artifact> {
        if self.file_names.is_empty() { vec![self.whole.clone()] } else { self.files.clone() }
    }
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
    shares(planes.map(|plane| (plane.kind.to_owned(), 1, plane.n_bytes)))
}

/// The forms of tensors, which have several planes; the form with the most bytes is first.
pub(crate) fn type_shares_of_forms(plan: &Plan) -> Vec<TypeShare> {
    shares(plan.planned.iter().map(|Planned { plane, .. }| {
        let kind = match &plan.tensors[plane.tensor].form {
            StoredForm::Blocks(codec) => codec.name,
            StoredForm::Planes { encoding, .. } => encoding.grid.name,
        };
        (kind.to_owned(), u64::from(plane.plane == 0), plane.n_bytes)
    }))
}

/// Adds up tensors and bytes by kind.
fn shares(of_planes: impl Iterator<Item = (String, u64, u64)>) -> Vec<TypeShare> {
    let mut shares: Vec<TypeShare> = Vec::new();
    for (kind, n_tensors, n_bytes) in of_planes {
        let known = shares.iter().position(|share| share.kind == kind);
        let index = known.unwrap_or_else(|| {
            shares.push(TypeShare { kind, n_tensors: 0, n_bytes: 0 });
            shares.len() - 1
        });
        shares[index].n_tensors += n_tensors;
        shares[index].n_bytes += n_bytes;
    }
    shares.sort_by(|one, other| (other.n_bytes, &one.kind).cmp(&(one.n_bytes, &other.kind)));
    shares
}
