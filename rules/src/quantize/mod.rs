//! Tensors in the encodings that a recipe selects. No file here is a rule: the rules of `export` use them.

pub(crate) mod encoding_rules;
pub(crate) mod gguf_copy;
pub(crate) mod near_names;
pub(crate) mod recipe_names;
pub(crate) mod row_weights;
pub(crate) mod tensor_action;
pub mod tensor_report;
pub(crate) mod tensor_types;
pub(crate) mod type_rules;
