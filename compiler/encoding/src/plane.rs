//! Planes: the named arrays of a stored tensor.

use mc_tensor::dtype::DType;

/// One named array of a stored tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plane {
    /// Name, such as `scales`.
    pub name: &'static str,
    /// Type of its elements.
    pub dtype: DType,
    /// Row-major shape, slowest dimension first: equal to the tensor's except for the last dimension.
    pub shape: Vec<u64>,
}

impl Plane {
    /// Number of bytes; the constructor has checked that it does not overflow.
    pub fn n_bytes(&self) -> u64 {
        self.shape.iter().product::<u64>() * self.dtype.n_bytes() as u64
    }
}
