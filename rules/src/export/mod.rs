//! Files that runtimes read: the rules `gguf` and `adapter-gguf`.

pub(crate) mod adapter_container;
pub mod adapter_gguf;
pub(crate) mod adapter_gguf_tensors;
pub(crate) mod container;
pub mod gguf;
pub(crate) mod gguf_keys;
pub(crate) mod gguf_split;
pub(crate) mod tensor_steps;
