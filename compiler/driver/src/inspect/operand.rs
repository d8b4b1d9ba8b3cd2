//! One of the two models of a comparison, as the user names it.

use std::path::Path;
use std::sync::Arc;

use mc_execute::services::source_content;
use mc_exporter::exporter::Exporter;
use mc_ir::action::Content;
use mc_rules::export::export_info::ExportInfo;
use mc_rules::exporters;
use mc_rules::inference::written_weights::{WrittenWeight, written_weights};
use mc_rules::source::model_info::ModelInfo;

use crate::inspect::checkpoint::model_in;
use crate::inspect::error::InspectError;
use crate::inspect::folder;
use crate::inspect::listing::Listing;
use crate::inspect::planes::{self, FoundTensors};
use crate::inspect::read::{head, list};
use crate::inspect::target::{BuiltModel, model_file};

/// A model to compare, as the user names it.
pub enum Operand {
    /// The bytes of a file or of several, listed.
    File {
        /// Their contents.
        listing: Listing,
        /// Their bytes.
        content: Content,
        /// The folder of the checkpoint that they are the weights of.
        checkpoint: Option<String>,
    },
    /// A model that a target wrote to files that do not describe themselves.
    Target(Box<Target>),
    /// A checkpoint, merge or blend of the workspace.
    Model {
        /// Its label.
        name: String,
        /// Its declaration.
        info: Arc<ModelInfo>,
    },
}

/// A model that a target wrote to files that do not describe themselves.
pub struct Target {
    /// Its label.
    pub name: String,
    /// The name of its format.
    pub format: &'static str,
    /// The model from which the files were made.
    pub info: Arc<ModelInfo>,
    /// The tensors in the files.
    pub found: FoundTensors,
    /// The weights in the files.
    pub weights: Vec<WrittenWeight>,
}

impl Operand {
    /// A model in bytes.
    ///
    /// * `source`: its name
    ///
    /// # Errors
    /// If the format is not known, or the bytes are not what they should be.
    pub fn content(source: &str, content: Content) -> Result<Self, InspectError> {
        Ok(Self::File { listing: listing_of(source, &content)?, content, checkpoint: None })
    }

    /// The model that a target wrote.
    ///
    /// # Errors
    /// If the bytes are not what they should be.
    pub fn built(source: &str, info: &ExportInfo, built: BuiltModel) -> Result<Self, InspectError> {
        let Some(written) = &info.written else { return Self::content(source, built.content) };
        let weights = written_weights(info.format, &info.model, written, &built.files, &source_content);
        let weights = weights.map_err(|reason| InspectError::Unreadable {
            what: format!("`{source}`"),
            reason: reason.to_string(),
        })?;
        let found = match built.planes(info) {
            Some(found) => found?,
            None => FoundTensors { listing: listing_of(source, &built.content)?, content: built.content },
        };
        let (name, format, info) = (source.to_owned(), info.format, Arc::new(info.model.clone()));
        Ok(Self::Target(Box::new(Target { name, format, info, found, weights })))
    }

    /// A file, a series of files or a folder.
    ///
    /// # Errors
    /// If there is no such file, or it is not a model.
    pub fn path(path: &str) -> Result<Self, InspectError> {
        if Path::new(path).is_dir() {
            let found = folder::open(path)?;
            let checkpoint = found.is_checkpoint.then(|| path.to_owned());
            return Ok(Self::File { listing: found.listing, content: found.content, checkpoint });
        }
        if let Some(found) = planes::list_at(Path::new(path)) {
            let FoundTensors { listing, content } = found?;
            return Ok(Self::File { listing, content, checkpoint: None });
        }
        let mut operand = Self::content(path, model_file(path)?)?;
        let parent = Path::new(path).parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        let is_weights = path.ends_with("model.safetensors") && !path.ends_with("adapter_model.safetensors");
        if let Self::File { checkpoint, .. } = &mut operand
            && is_weights
            && parent.join("config.json").is_file()
        {
            *checkpoint = parent.to_str().map(str::to_owned);
        }
        Ok(operand)
    }

    /// The target, if its files do not describe themselves.
    pub(crate) fn target(&self) -> Option<&Target> {
        if let Self::Target(target) = self { Some(target) } else { None }
    }

    /// Returns true if a workspace declares it, so that more is known of it than its bytes.
    pub(crate) fn is_declared(&self) -> bool {
        matches!(self, Self::Target(_) | Self::Model { .. })
    }

    /// The model that declares its weights: that of a target, or a checkpoint.
    pub(crate) fn model(&self) -> Option<Arc<ModelInfo>> {
        match self {
            Self::Target(target) => Some(Arc::clone(&target.info)),
            Self::Model { info, .. } => Some(Arc::clone(info)),
            Self::File { checkpoint, .. } => model_in(checkpoint.as_ref()?).ok(),
        }
    }

    /// The name of the format of a file that describes itself; `None` of a checkpoint.
    pub(crate) fn container_format(&self) -> Option<&'static str> {
        let Self::File { content, .. } = self else { return None };
        let head = head(content);
        let writes = |exporter: &&&dyn Exporter| {
            exporter.container().is_some_and(|container| container.recognizes(&head))
        };
        exporters::EXPORTERS.iter().find(writes).map(|exporter| exporter.name())
    }
}

fn listing_of(source: &str, content: &Content) -> Result<Listing, InspectError> {
    match list(source, &head(content), content.n_bytes()) {
        Ok(Some(listing)) => Ok(listing),
        Ok(None) => Err(InspectError::UnknownFormat { source_name: source.to_owned(), start: None }),
        Err(reason) => Err(InspectError::Unreadable { what: format!("`{source}`"), reason }),
    }
}
