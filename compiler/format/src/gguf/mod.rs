//! The GGUF container, version 3: keys, a list of tensors, and their bytes.

pub mod layout;
pub mod names;
pub mod reader;
pub mod tensor_type;
pub mod value;
