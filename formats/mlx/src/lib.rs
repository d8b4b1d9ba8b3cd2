//! MLX folders: what `mlx_lm.convert` writes, and what mlx-lm and mlx-swift load.
//!
//! A folder has the tensors of a checkpoint under their own names, the matrices as the planes `weight`, `scales` and
//! `biases`, the configuration with the parameters of the quantization, an index, and the tokenizer's files.
//!
//! The crate knows the model classes of mlx-lm (`class`): which settings they ignore, and which keys they need. It
//! reads no checkpoint, quantizes nothing and runs nothing.

pub(crate) mod accepts;
pub(crate) mod class;
pub(crate) mod completions;
pub(crate) mod config;
pub mod exporter;
pub(crate) mod found_planes;
pub(crate) mod json_text;
pub(crate) mod mixed;
pub(crate) mod modules;
pub mod quantizations;
pub mod scheme;
pub mod settings;
pub(crate) mod shards;
