//! Compares two models, tensor by tensor and key by key.

use mc_encoding::codecs;
use mc_encoding::quantization_error::QuantizationError;
use mc_ir::action::Content;
use rayon::prelude::*;
use serde_json::Value;

use crate::inspect::error::InspectError;
use crate::inspect::fidelity::Fidelity;
use crate::inspect::listing::{Listing, Tensor};
use crate::inspect::read::{head, list};

/// Number of weights that are compared at a time; a multiple of every block length.
const TILE: usize = 1 << 18;

/// One of the two models.
pub struct Side {
    content: Content,
    listing: Listing,
}

/// The difference of two tensors.
pub enum Difference {
    /// Types and bytes are equal.
    Equal,
    /// The bytes differ, or the types do.
    Numbers(Fidelity),
    /// The shapes differ.
    Shape,
    /// No codec reads one of the types.
    Unreadable,
}

impl Side {
    /// Reads a model.
    ///
    /// * `source`: its name
    ///
    /// # Errors
    /// If the format is unknown, or the bytes are malformed.
    pub fn open(source: &str, content: Content) -> Result<Self, InspectError> {
        let listing = list(source, &head(&content), content.n_bytes());
        match listing {
            Ok(Some(listing)) => Ok(Self { content, listing }),
            Ok(None) => Err(InspectError::UnknownFormat { source_name: source.to_owned(), start: None }),
            Err(reason) => Err(InspectError::Unreadable { what: format!("`{source}`"), reason }),
        }
    }

    fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.listing.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// A key's value as shown and, if it is shown shortened, its bytes.
    fn key(&self, name: &str) -> Option<(&Value, Option<&[u8]>)> {
        let key = self.listing.keys.iter().find(|key| key.name == name)?;
        Some((&key.value, key.whole.as_deref()))
    }

    fn bytes(&self, tensor: &Tensor) -> Result<std::borrow::Cow<'_, [u8]>, InspectError> {
        let range = tensor.offset..tensor.offset + tensor.n_bytes;
        match self.content.parts.as_slice() {
            [part] => {
                let range = range.start as usize..range.end as usize;
                part.as_slice().get(range).map(Into::into)
            }
            _ => self.content.piece(range).map(|piece| piece.as_slice().to_vec().into()),
        }
        .ok_or_else(|| InspectError::OutsideFile { name: tensor.name.clone() })
    }
}

/// The shape with the fastest dimension first, as some formats write it.
fn dims(tensor: &Tensor) -> Vec<u64> {
    let mut dims = tensor.shape.clone();
    if !tensor.is_fastest_first {
        dims.reverse();
    }
    dims
}

fn compare(reference: &Side, a: &Tensor, other: &Side, b: &Tensor) -> Result<Difference, InspectError> {
    let dims = dims(a);
    if dims != self::dims(b) {
        return Ok(Difference::Shape);
    }
    let (a_bytes, b_bytes) = (reference.bytes(a)?, other.bytes(b)?);
    if a.kind == b.kind && a_bytes == b_bytes {
        return Ok(Difference::Equal);
    }
    let (Some(a_codec), Some(b_codec)) = (codecs::by_name(a.kind), codecs::by_name(b.kind)) else {
        return Ok(Difference::Unreadable);
    };
    let n_elements = usize::try_from(dims.iter().product::<u64>()).unwrap_or(usize::MAX);
    // The stated shape of a file may not match its rows.
    if [(a_codec, &a_bytes), (b_codec, &b_bytes)]
        .iter()
        .any(|(codec, bytes)| !codec.fits(n_elements) || codec.row_bytes(n_elements) != bytes.len())
    {
        return Ok(Difference::Unreadable);
    }
    let tile_loss = |start: usize| {
        let n = TILE.min(n_elements - start);
        let mut numbers = [(a_codec, &a_bytes), (b_codec, &b_bytes)].map(|(codec, bytes)| {
            let mut numbers = vec![0.0; n];
            let first = codec.row_bytes(start);
            codec.decode(&bytes[first..][..codec.row_bytes(n)], &mut numbers);
            numbers
        });
        let [a_numbers, b_numbers] = &mut numbers;
        QuantizationError::of(a_numbers, b_numbers, b_codec.block_len)
    };
    let starts: Vec<usize> = (0..n_elements).step_by(TILE).collect();
    let tiles: Vec<QuantizationError> = starts.into_par_iter().map(tile_loss).collect();
    let mut loss = QuantizationError::default();
    for tile in &tiles {
        loss.add(tile);
    }
    Ok(Difference::Numbers(Fidelity {
        rmse: loss.rmse(),
        max_error: loss.max_error.into(),
        snr_db: loss.snr_db(),
    }))
}

/// A key with its value in either file.
pub type KeyPair = (String, Option<Value>, Option<Value>);

/// Keys with different values, and both values as far as they are shown.
fn different_keys(a: &Side, b: &Side) -> Vec<KeyPair> {
    let mut names: Vec<&str> =
        a.listing.keys.iter().chain(&b.listing.keys).map(|key| key.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let differs = |name: &&str| a.key(name) != b.key(name);
    let shown = |side: &Side, name: &str| side.key(name).map(|(shown, _)| shown.clone());
    names.into_iter().filter(differs).map(|name| (name.to_owned(), shown(a, name), shown(b, name))).collect()
}

/// The comparison of two models.
pub struct Comparison<'a> {
    /// The contents of both.
    pub sides: [&'a Listing; 2],
    /// Tensors present in both.
    pub pairs: Vec<(&'a Tensor, &'a Tensor)>,
    /// The difference of each pair.
    pub differences: Vec<Difference>,
    /// Tensors present in only one.
    pub only: [Vec<&'a Tensor>; 2],
    /// Keys with different values.
    pub keys: Vec<KeyPair>,
}

impl<'a> Comparison<'a> {
    /// Compares two models, tensor by tensor and key by key.
    ///
    /// # Errors
    /// If a tensor exceeds its file.
    pub fn new(reference: &'a Side, other: &'a Side) -> Result<Self, InspectError> {
        let mut pairs = Vec::new();
        let mut only_reference = Vec::new();
        for tensor in &reference.listing.tensors {
            match other.tensor(&tensor.name) {
                Some(found) => pairs.push((tensor, found)),
                None => only_reference.push(tensor),
            }
        }
        let is_only_other = |tensor: &&Tensor| reference.tensor(&tensor.name).is_none();
        let only_other = other.listing.tensors.iter().filter(is_only_other).collect();
        let differences =
            pairs.iter().map(|(a, b)| compare(reference, a, other, b)).collect::<Result<_, _>>()?;
        Ok(Self {
            sides: [&reference.listing, &other.listing],
            pairs,
            differences,
            only: [only_reference, only_other],
            keys: different_keys(reference, other),
        })
    }
}
