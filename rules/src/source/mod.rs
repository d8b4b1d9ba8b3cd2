//! Models, adapters and texts as sources, and their providers.
//!
//! | file | rule |
//! |---|---|
//! | `checkpoint` | `checkpoint` |
//! | `adapter` | `adapter` |
//! | `dataset` | `dataset` |
//!
//! The other files are their parts, and the provider of models ([`model_info`]). Nothing here creates or runs
//! a model.

pub mod about;
pub mod adapter;
pub mod checkpoint;
pub(crate) mod checkpoint_files;
pub(crate) mod checkpoint_tensors;
pub mod dataset;
pub(crate) mod export_tensors;
pub(crate) mod file_head;
pub(crate) mod file_size;
pub(crate) mod front_matter;
pub(crate) mod gguf_checkpoint;
pub(crate) mod gguf_weights;
pub(crate) mod model_id;
pub mod model_info;
pub mod origin;
pub mod scaled_weights;
pub(crate) mod source_digests;
pub(crate) mod token_files;
pub mod weights;
