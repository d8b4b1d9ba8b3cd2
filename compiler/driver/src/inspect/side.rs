//! One of the two models of a comparison: a file, a checkpoint whose tensors are named and arranged as in the file that it
//! is compared with, or weights as a model uses them.
//!
//! Weights as they are used are compared between checkpoints, models that are not in files, and targets of formats whose
//! files do not describe themselves. Files of these formats that no target made are compared as they are, because the
//! forms of their tensors are not known.

use std::borrow::Cow;

use mc_encoding::codec::Codec;
use mc_encoding::codecs;
use mc_execute::services::source_content;
use mc_exporter::exporter::Exporter;
use mc_ir::action::{ActionError, Content};
use mc_rules::export::written_tensors::{OpenTensor, arranged_tensors, written_tensors};
use mc_rules::exporters;
use mc_rules::inference::written_weights::WrittenWeight;
use mc_rules::source::model_info::ModelInfo;
use serde_json::Value;

use crate::inspect::checkpoint::model_in;
use crate::inspect::error::InspectError;
use crate::inspect::listing::{Listing, Tensor};
use crate::inspect::operand::{Operand, Target};
use crate::inspect::planes::FoundTensors;
use crate::inspect::used_weight::UsedWeight;

/// One of the two models.
pub struct Side {
    pub(crate) listing: Listing,
    source: Source,
}

enum Source {
    Bytes(Content),
    /// The weights that are listed, in the same order.
    Weights(Vec<UsedWeight>),
}

/// The numbers of a tensor, decoded or computed.
pub(crate) enum Numbers<'a> {
    Stored { codec: &'static Codec, bytes: Cow<'a, [u8]> },
    Computed { tensor: OpenTensor, add: f32 },
    InFiles(&'a WrittenWeight),
}

/// The two models, so that their tensors can be paired by name: a checkpoint beside a file of a format that `mc` writes
/// becomes what it would be in that format, before anything is quantized.
///
/// # Errors
/// If a checkpoint has no place in the format, or the two formats arrange tensors differently.
pub fn sides(reference: Operand, other: Operand) -> Result<[Side; 2], InspectError> {
    let formats = [&reference, &other].map(Operand::container_format);
    let target = reference.target().or_else(|| other.target());
    let container = formats.into_iter().flatten().next();
    if let (Some(target), Some(format)) = (target, container) {
        let format = exporters::title(format);
        return Err(InspectError::Arranged { name: target.name.clone(), format });
    }
    if container.is_none() && (reference.is_declared() || other.is_declared()) {
        let models = [&reference, &other].map(Operand::model);
        if let [Some(of_reference), Some(of_other)] = models {
            // Any format will do for two models that are not in files, as long as it is the same.
            let exporter = target.and_then(|target| exporters::by_name(target.format));
            let exporter = exporter.unwrap_or(exporters::EXPORTERS[0]);
            let side = |operand, model: &ModelInfo| match operand {
                Operand::Target(target) => Side::of_target(*target),
                Operand::Model { .. } | Operand::File { .. } => Side::of_model(model, exporter),
            };
            return Ok([side(reference, &of_reference), side(other, &of_other)]);
        }
    }
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
            (Operand::File { listing, content, .. }, _) => Ok(Self::of_bytes(listing, content)),
            (Operand::Target(target), _) => {
                let FoundTensors { listing, content } = target.found;
                Ok(Self::of_bytes(listing, content))
            }
            (Operand::Model { name, info }, format) => {
                Self::mapped(&name, &info, format.unwrap_or(exporters::EXPORTERS[0].name()))
            }
        }
    }

    fn of_bytes(listing: Listing, content: Content) -> Self {
        Self { listing, source: Source::Bytes(content) }
    }

    fn mapped(name: &str, info: &ModelInfo, format: &str) -> Result<Self, InspectError> {
        let tensors = written_tensors(format, info)
            .map_err(|reason| InspectError::Unmapped { path: name.to_owned(), reason })?;
        let weights = tensors.into_iter().map(|tensor| UsedWeight::OfModel { tensor, add: 0.0 });
        let mut side = Self::of_listed(weights.collect());
        side.listing.tensors.iter_mut().for_each(|tensor| tensor.is_fastest_first = true);
        Ok(side)
    }

    /// The weights of a model as it uses them, under the names of its checkpoint.
    ///
    /// * `exporter`: the format in which they are arranged
    fn of_model(model: &ModelInfo, exporter: &dyn Exporter) -> Self {
        let tensors = arranged_tensors(exporter, model).into_iter();
        let weights = tensors.map(|tensor| UsedWeight::OfModel { add: tensor.add, tensor }).collect();
        let mut side = Self::of_listed(weights);
        side.drop_single_dims();
        side
    }

    /// The weights in the files of a target as its model uses them, under the names of the checkpoint.
    fn of_target(target: Target) -> Self {
        let mut side = Self::of_listed(target.weights.into_iter().map(UsedWeight::InFiles).collect());
        side.listing.n_bytes = target.found.listing.n_bytes;
        side.drop_single_dims();
        side
    }

    fn of_listed(weights: Vec<UsedWeight>) -> Self {
        let mut listing = Listing { format: "weights", ..Listing::default() };
        for weight in &weights {
            let tensor = Tensor { offset: listing.n_bytes, ..weight.listed() };
            listing.n_bytes += tensor.n_bytes;
            listing.tensors.push(tensor);
        }
        Self { listing, source: Source::Weights(weights) }
    }

    /// Drops dimensions of one element other than columns, in which formats differ.
    fn drop_single_dims(&mut self) {
        for tensor in &mut self.listing.tensors {
            if let Some(n_columns) = tensor.shape.pop() {
                tensor.shape.retain(|dim| *dim != 1);
                tensor.shape.push(n_columns);
            }
        }
    }

    pub(crate) fn is_mapped(&self) -> bool {
        matches!(self.source, Source::Weights(_))
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
        if let Source::Weights(weights) = &self.source {
            let number = self.listing.tensors.iter().position(|listed| listed.name == tensor.name);
            let weight = number.and_then(|number| weights.get(number));
            return weight.map(|weight| Numbers::of(&tensor.name, weight)).transpose();
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

impl<'a> Numbers<'a> {
    fn of(name: &str, weight: &'a UsedWeight) -> Result<Self, InspectError> {
        match weight {
            UsedWeight::InFiles(weight) => Ok(Self::InFiles(weight)),
            UsedWeight::OfModel { tensor, add } => {
                let opened = tensor.open(&source_content);
                let tensor =
                    opened.map_err(|source| InspectError::Tensor { name: name.to_owned(), source })?;
                Ok(Self::Computed { tensor, add: *add })
            }
        }
    }

    /// The rows from `first` on, as many as `out` has room for.
    pub(crate) fn rows(&self, first: u64, n_cols: usize, out: &mut [f32]) -> Result<(), ActionError> {
        match self {
            Self::Computed { tensor, add } => {
                tensor.rows(first, out)?;
                out.iter_mut().for_each(|number| *number += add);
                Ok(())
            }
            Self::InFiles(weight) => weight.rows(first, out),
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
            Self::Computed { .. } => 1,
            Self::InFiles(weight) => weight.group_len(),
            Self::Stored { codec, .. } => codec.block_len,
        }
    }
}
