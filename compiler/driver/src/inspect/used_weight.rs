//! A weight as a model uses it, whatever the format in which it is stored.

use mc_encoding::codecs;
use mc_rules::export::written_tensors::WrittenTensor;
use mc_rules::inference::written_weights::WrittenWeight;

use crate::inspect::listing::Tensor;

/// A weight as a model uses it.
pub(crate) enum UsedWeight {
    /// It is computed from a checkpoint.
    OfModel {
        /// The weight as a format would write it.
        tensor: WrittenTensor,
        /// The number to add to each element.
        add: f32,
    },
    /// It is decoded from files.
    InFiles(WrittenWeight),
}

impl UsedWeight {
    /// Lists the weight.
    pub(crate) fn listed(&self) -> Tensor {
        let (name, kind, dims, n_bytes) = match self {
            Self::OfModel { tensor, .. } => {
                let kind = tensor.kind.unwrap_or("F32");
                let n_elements = usize::try_from(tensor.dims.iter().product::<u64>()).unwrap_or(usize::MAX);
                let n_bytes = codecs::by_name(kind).map_or(0, |codec| codec.row_bytes(n_elements) as u64);
                (&tensor.name, kind, &tensor.dims, n_bytes)
            }
            Self::InFiles(weight) => (&weight.name, weight.kind, &weight.shape, weight.n_bytes),
        };
        let (name, shape) = (name.clone(), dims.clone());
        Tensor { name, kind, shape, is_fastest_first: false, offset: 0, n_bytes, fidelity: None }
    }
}
