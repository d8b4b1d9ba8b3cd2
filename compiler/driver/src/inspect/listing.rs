//! The contents of a model file: facts, keys, tensors, and the offsets of their bytes.

use mc_exporter::listing as exporter;
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

impl Listing {
    /// Number of bytes of all tensors.
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
