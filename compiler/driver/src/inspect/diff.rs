//! Compares two models, tensor by tensor and key by key.

use mc_encoding::quantization_error::QuantizationError;
use mc_ir::action::ActionError;
use rayon::prelude::*;
use serde_json::Value;

use crate::inspect::error::InspectError;
use crate::inspect::fidelity::Fidelity;
use crate::inspect::listing::{Listing, Tensor};
use crate::inspect::side::{Numbers, Side};

/// Numbers that are compared at a time, as far as whole rows allow.
const TILE: u64 = 1 << 18;

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
    if a.kind == b.kind
        && let (Some(a), Some(b)) = (reference.bytes(a)?, other.bytes(b)?)
        && a == b
    {
        return Ok(Difference::Equal);
    }
    let n_cols = usize::try_from(dims.first().copied().unwrap_or(1)).unwrap_or(usize::MAX);
    let n_rows = dims.iter().skip(1).product::<u64>();
    let (Some(a_numbers), Some(b_numbers)) =
        (reference.numbers(a, n_cols, n_rows)?, other.numbers(b, n_cols, n_rows)?)
    else {
        return Ok(Difference::Unreadable);
    };
    let error = quantization_error(&a_numbers, &b_numbers, n_cols, n_rows)
        .map_err(|source| InspectError::Tensor { name: a.name.clone(), source })?;
    if a.kind == b.kind && error.max_error == 0.0 {
        return Ok(Difference::Equal);
    }
    Ok(Difference::Numbers(Fidelity {
        rmse: error.rmse(),
        max_error: error.max_error.into(),
        snr_db: error.snr_db(),
    }))
}

/// The distance of the numbers of `b` to those of `a`, in tiles of whole rows that are summed in order.
fn quantization_error(
    a: &Numbers<'_>,
    b: &Numbers<'_>,
    n_cols: usize,
    n_rows: u64,
) -> Result<QuantizationError, ActionError> {
    let mut sum = QuantizationError::default();
    if n_cols == 0 {
        return Ok(sum);
    }
    let rows_per_tile = (TILE / n_cols as u64).max(1);
    let tile = |index: u64| {
        let first = index * rows_per_tile;
        let n = n_cols * rows_per_tile.min(n_rows - first) as usize;
        let (mut a_numbers, mut b_numbers) = (vec![0.0; n], vec![0.0; n]);
        a.rows(first, n_cols, &mut a_numbers)?;
        b.rows(first, n_cols, &mut b_numbers)?;
        Ok(QuantizationError::of(&a_numbers, &b_numbers, b.block_len()))
    };
    let tiles: Vec<Result<QuantizationError, ActionError>> =
        (0..n_rows.div_ceil(rows_per_tile)).into_par_iter().map(tile).collect();
    for tile in tiles {
        sum.add(&tile?);
    }
    Ok(sum)
}

/// A key, and its value in either file.
pub type KeyPair = (String, Option<Value>, Option<Value>);

/// Keys with different values, and both values as far as they are shown.
fn different_keys(a: &Side, b: &Side) -> Vec<KeyPair> {
    if a.is_mapped() || b.is_mapped() {
        // Keys belong to files; a checkpoint has the same facts in another form.
        return Vec::new();
    }
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
    /// True if one of them is a checkpoint whose tensors were named and arranged as in the other; keys are not compared
    /// then.
    pub is_mapped: bool,
}

impl Comparison<'_> {
    /// Returns true if both have the same tensors with the same bytes, and the same keys.
    pub fn is_equal(&self) -> bool {
        let is_equal = |difference: &Difference| matches!(difference, Difference::Equal);
        self.differences.iter().all(is_equal) && self.only.iter().all(Vec::is_empty) && self.keys.is_empty()
    }
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
            is_mapped: reference.is_mapped() || other.is_mapped(),
        })
    }
}
