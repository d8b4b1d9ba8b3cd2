//! Errors of inspecting models.

use std::io;
use std::path::PathBuf;

use mc_digest::digest::Digest;
use mc_ir::action::ActionError;
use mc_ir::label::Label;
use mc_store::error::StoreError;

use crate::build::error::EngineError;
use crate::build::failure::Unbuilt;

/// A model that cannot be inspected.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// There is no such file.
    #[error("Cannot open `{path}`")]
    NotFound {
        /// The file.
        path: String,
        /// The reason.
        source: io::Error,
    },
    /// The path names something else than a file or a folder with a model.
    #[error("`{path}` is not a file")]
    NotAFile {
        /// The path.
        path: String,
    },
    /// The file cannot be mapped.
    #[error("Cannot open `{path}`")]
    Open {
        /// The file.
        path: String,
        /// The reason.
        source: Box<StoreError>,
    },
    /// The file belongs to a series, and is not its first.
    #[error("`{path}` is file {number} of {count}")]
    NotTheFirst {
        /// The file.
        path: String,
        /// Its number, from 1.
        number: u32,
        /// Number of files of the series.
        count: u32,
        /// The first file.
        first: String,
    },
    /// A file of a series is missing.
    #[error("`{missing}` of the series of `{path}` does not exist")]
    MissingOfSeries {
        /// The named file.
        path: String,
        /// The file that is missing.
        missing: String,
    },
    /// The bytes are malformed.
    #[error("Cannot read {what}")]
    Unreadable {
        /// The file, target or object.
        what: String,
        /// The reason.
        reason: String,
    },
    /// The bytes have no known format.
    #[error("Cannot identify the format of `{source_name}`")]
    UnknownFormat {
        /// The file, target or object.
        source_name: String,
        /// The first bytes, escaped, if they may help.
        start: Option<String>,
    },
    /// A pattern matches several targets, or none.
    #[error("`{text}` matches {n_targets} targets; expected one")]
    NotOneTarget {
        /// The pattern.
        text: String,
        /// Number of targets.
        n_targets: usize,
    },
    /// The target writes no model file.
    #[error("`{label}` has no model file")]
    NoModelFile {
        /// The target.
        label: Label,
    },
    /// The target is not a model.
    #[error("`{label}` is not a model")]
    NoModel {
        /// The target.
        label: Label,
    },
    /// The target cannot be built.
    #[error("The model is not built")]
    Unbuilt(Unbuilt),
    /// The build cannot begin, or its results cannot be read.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The store cannot be read.
    #[error("Cannot use the store")]
    Store(#[source] Box<StoreError>),
    /// There is no such object.
    #[error("The store has no object `{hash}`")]
    NoObject {
        /// Its hash, or the first digits of it.
        hash: String,
        /// The folder of the store.
        store: PathBuf,
    },
    /// Several objects begin with the same digits.
    #[error("`{digits}` matches {} objects", candidates.len())]
    AmbiguousHash {
        /// The digits.
        digits: String,
        /// The objects.
        candidates: Vec<Digest>,
    },
    /// A folder holds no model, or several.
    #[error("Cannot determine the model in `{path}`")]
    NotAModelFolder {
        /// The folder.
        path: String,
        /// The expected and the actual content.
        reason: String,
    },
    /// A checkpoint cannot be compared with a file, because its tensors cannot be named as those of the file.
    #[error("Cannot map the tensors of `{path}`")]
    Unmapped {
        /// The checkpoint.
        path: String,
        /// The reason.
        reason: String,
    },
    /// Two formats arrange tensors differently.
    #[error("`{name}` and a {format} file arrange their tensors differently")]
    Arranged {
        /// The target of the one format.
        name: String,
        /// The other format.
        format: &'static str,
    },
    /// The numbers of a tensor cannot be computed.
    #[error("Cannot compute tensor `{name}`")]
    Tensor {
        /// The tensor.
        name: String,
        /// The reason.
        source: ActionError,
    },
    /// An object was damaged, and was set aside.
    #[error("The object `{hash}` was damaged")]
    DamagedObject {
        /// The object.
        hash: Digest,
    },
    /// A tensor exceeds its file.
    #[error("Tensor `{name}` is outside its file")]
    OutsideFile {
        /// The tensor.
        name: String,
    },
}
