//! One of the two models of a comparison: a file, or a checkpoint whose tensors are named and arranged as in the file
//! that it is compared with.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use mc_encoding::codec::Codec;
use mc_encoding::codecs;
use mc_execute::services::source_content;
use mc_ir::action::{ActionError, Content};
use mc_rules::export::written_tensors::{OpenTensor, WrittenTensor, written_tensors};
use mc_rules::exporters;
use mc_rules::source::model_info::ModelInfo;
use serde_json::Value;

use crate::inspect::checkpoint::model_in;
use crate::inspect::error::InspectError;
use crate::inspect::folder;
use crate::inspect::listing::{Listing, Tensor};
use crate::inspect::read::{head, list};
use crate::inspect::target::model_file;

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
    /// A checkpoint, merge or blend of the workspace.
    Model {
        /// Its label.
        name: String,
        /// Its declaration.
        info: Arc<ModelInfo>,
    },
}

impl Operand {
    /// A model in bytes.
    ///
    /// * `source`: its name
    ///
    /// # Errors
    /// If the format is not known, or the bytes are not what they should be.
    pub fn content(source: &str, content: Content) -> Result<Self, InspectError> {
        match list(source, &head(&content), content.n_bytes()) {
            Ok(Some(listing)) => Ok(Self::File { listing, content, checkpoint: None }),
            Ok(None) => Err(InspectError::UnknownFormat { source_name: source.to_owned(), start: None }),
            Err(reason) => Err(InspectError::Unreadable { what: format!("`{source}`"), reason }),
        }
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

    /// The name of the format that writes such files; `None` of a checkpoint.
    fn format(&self) -> Option<&'static str> {
        let Self::File { content, .. } = self else { return None };
        let head = head(content);
        let writes = |exporter: &&&dyn mc_exporter::exporter::Exporter| {
            exporter.container().is_some_and(|container| container.recognizes(&head))
        };
        exporters::EXPORTERS.iter().find(writes).map(|exporter| exporter.name())
    }
}

/// One of the two models.
pub struct Side {
    pub(crate) listing: Listing,
    source: Source,
}

enum Source {
    Bytes(Content),
    Model(Vec<WrittenTensor>),
}

/// The numbers of a tensor, decoded or computed.
pub(crate) enum Numbers<'a> {
    Stored { codec: &'static Codec, bytes: Cow<'a, [u8]> },
    Computed(OpenTensor),
}

/// The two models, so that their tensors can be paired by name: a checkpoint beside a file of a format that `mc` writes
/// becomes what it would be in that format, before anything is quantized.
///
/// # Errors
/// If a checkpoint has no place in the format.
pub fn sides(reference: Operand, other: Operand) -> Result<[Side; 2], InspectError> {
    let formats = [&reference, &other].map(Operand::format);
    let [of_reference, of_other] = formats;
    Ok([Side::new(reference, of_other)?, Side::new(other, of_reference)?])
}

impl Side {
    /// * `format`: the format of the other side, if it is a file that `mc` writes
    fn new(operand: Operand, format: Option<&str>) -> Result<Self, InspectError> {
        match (operand, format) {
            (Operand::File { checkpoint: Some(folder), .. }, Some(format)) => {
                Self::mapped(&folder, &*model_in(&folder)?, format)
            }
            (Operand::File { listing, content, .. }, _) => {
                Ok(Self { listing, source: Source::Bytes(content) })
            }
            (Operand::Model { name, info }, format) => {
                // Two models without files are compared in the form of the first one's format.
                Self::mapped(&name, &info, format.unwrap_or(exporters::EXPORTERS[0].name()))
            }
        }
    }

    fn mapped(name: &str, info: &ModelInfo, format: &str) -> Result<Self, InspectError> {
        let tensors = written_tensors(format, info)
            .map_err(|reason| InspectError::Unmapped { path: name.to_owned(), reason })?;
        let mut listing = Listing { format: "checkpoint", ..Listing::default() };
        for tensor in &tensors {
            let kind = tensor.kind.unwrap_or("F32");
            let n_elements: u64 = tensor.dims.iter().product();
            let n_elements = usize::try_from(n_elements).unwrap_or(usize::MAX);
            let n_bytes = codecs::by_name(kind).map_or(0, |codec| codec.row_bytes(n_elements) as u64);
            listing.tensors.push(Tensor {
                name: tensor.name.clone(),
                kind,
                shape: tensor.dims.clone(),
                is_fastest_first: true,
                offset: listing.n_bytes,
                n_bytes,
                fidelity: None,
            });
            listing.n_bytes += n_bytes;
        }
        Ok(Self { listing, source: Source::Model(tensors) })
    }

    pub(crate) fn is_mapped(&self) -> bool {
        matches!(self.source, Source::Model(_))
    }

    pub(crate) fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.listing.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// A key's value as it is shown and, where it is not shown whole, as it is.
    pub(crate) fn key(&self, name: &str) -> Option<(&Value, Option<&[u8]>)> {
        let key = self.listing.keys.iter().find(|key| key.name == name)?;
        Some((&key.value, key.whole.as_deref()))
    }

    /// The bytes of a tensor; `None` if they are still to be computed.
    pub(crate) fn bytes(&self, tensor: &Tensor) -> Result<Option<Cow<'_, [u8]>>, InspectError> {
        let Source::Bytes(content) = &self.source else { return Ok(None) };
        let range = tensor.offset..tensor.offset + tensor.n_bytes;
        let bytes = match content.parts.as_slice() {
            [part] => {
                let range = range.start as usize..range.end as usize;
                part.as_slice().get(range).map(Into::into)
            }
            _ => content.piece(range).map(|piece| piece.as_slice().to_vec().into()),
        };
        bytes.map(Some).ok_or_else(|| InspectError::OutsideFile { name: tensor.name.clone() })
    }

    /// The numbers of a tensor; `None` if no codec reads its type.
    pub(crate) fn numbers(
        &self,
        tensor: &Tensor,
        n_cols: usize,
        n_rows: u64,
    ) -> Result<Option<Numbers<'_>>, InspectError> {
        if let Source::Model(tensors) = &self.source {
            let Some(written) = tensors.iter().find(|written| written.name == tensor.name) else {
                return Ok(None);
            };
            let opened = written.open(&source_content);
            let opened =
                opened.map_err(|source| InspectError::Tensor { name: tensor.name.clone(), source })?;
            return Ok(Some(Numbers::Computed(opened)));
        }
        let (Some(codec), Some(bytes)) = (codecs::by_name(tensor.kind), self.bytes(tensor)?) else {
            return Ok(None);
        };
        // The shapes in a file are untrusted and may not match its data.
        let n_bytes =
            usize::try_from(n_rows).ok().and_then(|n_rows| n_rows.checked_mul(codec.row_bytes(n_cols)));
        let fits = codec.fits(n_cols) && n_bytes == Some(bytes.len());
        Ok(fits.then_some(Numbers::Stored { codec, bytes }))
    }
}

impl Numbers<'_> {
    /// The rows from `first` on, as many as `out` has room for.
    pub(crate) fn rows(&self, first: u64, n_cols: usize, out: &mut [f32]) -> Result<(), ActionError> {
        match self {
            Self::Computed(tensor) => tensor.rows(first, out),
            Self::Stored { codec, bytes } => {
                let row_bytes = codec.row_bytes(n_cols);
                let n_rows = out.len() / n_cols.max(1);
                codec.decode(&bytes[first as usize * row_bytes..][..n_rows * row_bytes], out);
                Ok(())
            }
        }
    }

    /// Weights that share a scale.
    pub(crate) fn block_len(&self) -> usize {
        match self {
            Self::Computed(_) => 1,
            Self::Stored { codec, .. } => codec.block_len,
        }
    }
}
