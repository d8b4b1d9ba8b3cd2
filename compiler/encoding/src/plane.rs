//! A plane: one named array of a stored tensor.

use mc_tensor::dtype::DType;

/// One named array of a stored tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plane {
    /// Name, such as `scales`.
    pub name: &'static str,
    /// Type of its elements.
    pub dtype: DType,
    /// Row-major shape, slowest dimension first: that of the tensor up to the last dimension.
    pub shape: Vec<u64>,
}

impl Plane {
    /// Number of bytes, which whoever made the plane has found countable.
    pub fn n_bytes(&self) -> u64 {
        self.shape.iter().product::<u64>() * self.dtype.n_bytes() as u64
    }
}
