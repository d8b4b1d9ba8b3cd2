//! GGUF as a readable format.

use mc_decoder::vocabulary::Vocabulary;
use mc_exporter::container::Container;
use mc_exporter::format_error::FormatError;
use mc_exporter::listing::Listing;
use mc_exporter::model_file::{FileTensor, ModelFile};
use mc_exporter::series::{Joined, Series};

use crate::architecture;
use crate::listing;
use crate::model::decoder;
use crate::names::model_tensor;
use crate::reader::{Gguf, TensorInfo};
use crate::split::{self, Place};
use crate::vocabulary_keys::vocabulary;

/// The format.
pub struct GgufContainer;

/// Location of the chat template in a file.
pub const TEMPLATE_PLACE: &str = "`tokenizer.chat_template` of the GGUF";

impl Container for GgufContainer {
    fn extension(&self) -> &'static str {
        "gguf"
    }

    fn recognizes(&self, head: &[u8]) -> bool {
        head.starts_with(b"GGUF")
    }

    fn open(&self, head: &[u8], n_bytes: u64) -> Result<ModelFile, FormatError> {
        let gguf = Gguf::parse(head, n_bytes).map_err(FormatError::new)?;
        let decoder = decoder(&gguf).map_err(FormatError::new)?;
        Ok(ModelFile {
            architecture: architecture::name_of(&decoder).to_owned(),
            decoder,
            vocabulary: vocabulary(&gguf).map_err(FormatError::new)?,
            tensors: gguf.tensors.iter().map(|info| file_tensor(info)).collect(),
        })
    }

    fn vocabulary(&self, head: &[u8]) -> Result<Vocabulary, FormatError> {
        let gguf = Gguf::parse(head, u64::MAX).map_err(FormatError::new)?;
        vocabulary(&gguf).map_err(FormatError::new)
    }

    fn template_place(&self) -> &'static str {
        TEMPLATE_PLACE
    }

    fn list(&self, head: &[u8], n_bytes: u64) -> Result<Listing, FormatError> {
        listing::listing(head, n_bytes).map_err(FormatError::new)
    }

    fn series(&self, path: &str) -> Option<Series> {
        let place = Place::of(path)?;
        Some(Series { number: place.number, names: place.names() })
    }

    fn join(&self, files: &[&[u8]]) -> Result<Vec<Joined>, (Option<usize>, FormatError)> {
        let head = |(number, bytes): (usize, &&[u8])| {
            Gguf::parse(bytes, bytes.len() as u64).map_err(|error| (Some(number), FormatError::new(error)))
        };
        let heads: Vec<Gguf> = files.iter().enumerate().map(head).collect::<Result<_, _>>()?;
        let merged = split::merge(&heads).map_err(|error| (None, FormatError::new(error)))?;
        let mut parts = vec![Joined::Bytes(merged.layout.head)];
        for (stretch, (file, range)) in merged.layout.tensors.iter().zip(merged.tensors) {
            parts.push(Joined::Range { file, range });
            if stretch.padding > 0 {
                parts.push(Joined::Bytes(vec![0; stretch.padding as usize]));
            }
        }
        Ok(parts)
    }
}

fn file_tensor(info: &TensorInfo) -> FileTensor {
    FileTensor {
        name: info.name.clone(),
        tensor: model_tensor(&info.name),
        kind: info.kind.name,
        codec: info.kind.codec(),
        // Files write the fastest dimension first.
        shape: info.dims.iter().rev().copied().collect(),
        range: info.start..info.end,
    }
}
