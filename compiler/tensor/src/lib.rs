//! Dtypes, shapes, borrowed views, conversions, and what a tensor is for.

pub mod dtype;
pub mod model_tensor;
