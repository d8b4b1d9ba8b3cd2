//! Files that runtimes read.
//!
//! | file | rule |
//! |---|---|
//! | `gguf` | `gguf` |
//! | `onnx` | `onnx` |
//! | `adapter_gguf` | `adapter-gguf` |
//! | `litert` | `litert` |
//!
//! The other files are their actions and parts.

pub(crate) mod adapter_container;
pub mod adapter_gguf;
pub(crate) mod adapter_gguf_tensors;
pub(crate) mod container;
pub mod export_info;
pub mod gguf;
pub(crate) mod gguf_split;
pub mod litert;
pub(crate) mod mlx;
pub(crate) mod model_node;
pub mod onnx;
pub(crate) mod planned_export;
pub(crate) mod published_identity;
pub(crate) mod recipe_of_copy;
pub(crate) mod tensor_actions;
pub mod written_tensors;
