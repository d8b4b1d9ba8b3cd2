//! The forward pass of a decoder: logits, activations, generation, metrics.
//!
//! It runs the program of [`mc_decoder`] on weights that the caller read from a checkpoint or a container. It knows no
//! files, tensor names or tokenizers: tokens go in, numbers come out.
//!
//! *Same bits everywhere*: see [`kernel`] and [`cpu_exact`].

pub mod accuracy;
pub mod backend;
pub mod backends;
pub mod cancellation;
pub mod candle_backend;
pub mod chunks;
pub mod cpu_exact;
pub mod divergence;
pub mod error;
pub mod estimate;
pub(crate) mod fallback;
pub mod generate;
pub(crate) mod host;
pub mod imatrix;
pub mod kernel;
pub mod kv_cache;
pub mod lanes;
pub mod log_probabilities;
pub mod logit_rows;
pub mod logits;
pub mod model;
pub mod observer;
pub mod parity;
pub mod perplexity;
pub(crate) mod plan;
pub mod planes;
pub mod random;
pub mod repetition;
pub mod replay;
pub mod sampler;
pub mod statistics;
pub mod weight;
pub mod weight_bytes;
pub mod weights;
