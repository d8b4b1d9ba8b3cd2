//! Encodings of tensors: block codecs, and encodings in planes.
//!
//! A codec produces interleaved blocks ([`codec`]); an [`encoding`] consists of a grid, a solver and a packing, and
//! produces a plane of codes and planes of scales and biases. A [`stored_form`] is either of them. One file per codec,
//! grid, solver and packing, and a table for each kind. The scalar code here defines the bytes: codecs give those of
//! ggml's reference encoders, affine grids those of MLX (ARCHITECTURE.md, section "Numbers").
//!
//! Knows no files, containers or model families.

pub mod blocks;
pub mod codebook;
pub mod codec;
pub mod codecs;
pub mod encoding;
pub mod encoding_error;
pub mod grids;
pub mod health;
pub mod lanes;
pub mod layouts;
pub mod packings;
pub mod plane;
pub mod quantization_error;
pub(crate) mod rounding;
pub(crate) mod rows;
pub mod search;
pub mod solvers;
pub mod stored_form;
