//! The contents of a model file: facts, keys, tensors, and the offsets of their bytes.

use mc_exporter::listing::{self as exporter, IMPORTANCE_MATRIX};
use serde_json::Value;

use crate::inspect::fidelity::Fidelity;

/// The contents of one file.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The format of the file.
    pub format: &'static str,
    /// Length of the whole file.
    pub n_bytes: u64,
    /// A few facts that are listed first.
    pub facts: Vec<(&'static str, String)>,
    /// Named values, in the order of the file.
    pub keys: Vec<Key>,
    /// Tensors, in the order of the file.
    pub tensors: Vec<Tensor>,
    /// Bytes before the first tensor.
    pub header_bytes: u64,
}

/// A named value.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its name.
    pub name: String,
    /// The name of its type.
    pub kind: String,
    /// Its value; long arrays are already shortened.
    pub value: Value,
    /// The bytes of a value that is shown shortened, so that it can be compared.
    pub whole: Option<Vec<u8>>,
}

/// One tensor.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// The name of its type.
    pub kind: &'static str,
    /// Its dimensions, in the order of the file.
    pub shape: Vec<u64>,
    /// True if the file lists the fastest dimension first.
    pub is_fastest_first: bool,
    /// Offset of its bytes in the file.
    pub offset: u64,
    /// Number of its bytes.
    pub n_bytes: u64,
    /// Its error relative to its source, if known.
    pub fidelity: Option<Fidelity>,
}

/// The types of elements that hold codes of weights.
const CODES: [&str; 7] = ["U32", "U8", "I8", "I32", "UINT8", "INT8", "INT4"];

/// The numbers of a model: how many there are, and how they are stored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Number of elements of all tensors.
    pub n_parameters: u64,
    /// Their bytes.
    pub n_bytes: u64,
    /// The types, those with the most elements first.
    pub types: Vec<TypeShare>,
}

/// The tensors of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeShare {
    /// The name of the type.
    pub kind: &'static str,
    /// Number of tensors.
    pub n_tensors: usize,
    /// Number of their elements.
    pub n_parameters: u64,
    /// Their bytes.
    pub n_bytes: u64,
}

impl Summary {
    /// Returns true if integers hold weights: several in one element, or with scales of their own, so that elements are
    /// not parameters.
    pub fn is_packed(&self) -> bool {
        self.types.iter().any(|share| CODES.contains(&share.kind))
    }

    /// Bits for each element; `None` where there is no element, or where elements are not parameters.
    pub fn bits_per_weight(&self) -> Option<f64> {
        (self.n_parameters > 0 && !self.is_packed())
            .then(|| self.n_bytes as f64 * 8.0 / self.n_parameters as f64)
    }
}

impl Listing {
    /// Returns true if the tensors are weights, and not statistics.
    pub fn is_model(&self) -> bool {
        self.format != IMPORTANCE_MATRIX
    }

    /// The numbers of the model. Shapes may contain any number, so counts saturate at the largest number.
    pub fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for tensor in &self.tensors {
            let n_parameters = tensor.shape.iter().fold(1, |product: u64, n| product.saturating_mul(*n));
            summary.n_parameters = summary.n_parameters.saturating_add(n_parameters);
            summary.n_bytes = summary.n_bytes.saturating_add(tensor.n_bytes);
            let found = summary.types.iter().position(|share| share.kind == tensor.kind);
            let index = found.unwrap_or_else(|| {
                let share = TypeShare { kind: tensor.kind, n_tensors: 0, n_parameters: 0, n_bytes: 0 };
                summary.types.push(share);
                summary.types.len() - 1
            });
            let share = &mut summary.types[index];
            share.n_tensors += 1;
            share.n_parameters = share.n_parameters.saturating_add(n_parameters);
            share.n_bytes = share.n_bytes.saturating_add(tensor.n_bytes);
        }
        summary.types.sort_by(|a, b| b.n_parameters.cmp(&a.n_parameters).then_with(|| a.kind.cmp(b.kind)));
        summary
    }

    /// Bytes of all tensors.
    pub fn tensor_bytes(&self) -> u64 {
        self.tensors.iter().map(|tensor| tensor.n_bytes).sum()
    }

    /// Number of bytes that belong to neither header nor tensors. Not negative, because readers refuse files whose
    /// tensors do not fit.
    pub fn padding_bytes(&self) -> u64 {
        self.n_bytes.saturating_sub(self.header_bytes).saturating_sub(self.tensor_bytes())
    }
}

impl From<exporter::Listing> for Listing {
    fn from(listing: exporter::Listing) -> Self {
        let exporter::Listing { format, n_bytes, facts, keys, tensors, header_bytes } = listing;
        let (keys, tensors) = (keys.into_iter().map(Key::from), tensors.into_iter().map(Tensor::from));
        Self { format, n_bytes, facts, keys: keys.collect(), tensors: tensors.collect(), header_bytes }
    }
}

impl From<exporter::Key> for Key {
    fn from(exporter::Key { name, kind, value, whole }: exporter::Key) -> Self {
        Self { name, kind, value, whole }
    }
}

impl From<exporter::Tensor> for Tensor {
    fn from(tensor: exporter::Tensor) -> Self {
        let exporter::Tensor { name, kind, shape, is_fastest_first, offset, n_bytes } = tensor;
        Self { name, kind, shape, is_fastest_first, offset, n_bytes, fidelity: None }
    }
}
