//! Dtypes, conversions, CPU paths, low-rank updates, blends, elementary functions, and the purposes of tensors.
//!
//! Knows no files, codecs or formats.

pub mod blend;
pub mod block_scales;
pub mod convert;
pub mod cpu_path;
pub mod dtype;
pub mod largest;
pub mod low_rank;
pub mod math;
pub mod model_tensor;
pub mod stored;
