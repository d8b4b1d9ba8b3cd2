//! What the kinds of targets mean: one file per rule, with its attributes, its analysis and its actions.
//!
//! A rule is a row of [`rules::RULES`]. Rules know families, formats, codecs and the runtime; they know neither
//! salsa nor the store: the analysis calls them, and the executor runs the actions that they make.

pub mod adapter;
pub mod adapter_gguf;
pub mod blend;
pub mod bundle;
pub mod chat;
pub mod checkpoint;
pub mod dataset;
pub mod device;
pub mod gate;
pub mod gguf;
pub mod imatrix;
pub mod merge;
pub mod model;
pub mod model_info;
pub mod origin;
pub mod remote_kinds;
pub mod rules;
pub mod scaled_weights;
pub mod verdict;
pub mod weights;
pub mod wire_tensors;

pub(crate) mod abandon;
pub(crate) mod accuracy;
pub(crate) mod adapter_container;
#[cfg(test)]
mod adapter_exactness;
pub(crate) mod adapter_gguf_tensors;
#[cfg(test)]
mod adapter_reference;
pub(crate) mod adapter_weights;
pub(crate) mod attributes;
pub(crate) mod blend_evaluate;
pub(crate) mod blend_meaning;
pub(crate) mod blend_method;
pub(crate) mod blend_parts;
pub(crate) mod blend_settings;
pub(crate) mod blend_weights;
pub(crate) mod checkpoint_files;
pub(crate) mod checkpoint_tensors;
pub(crate) mod container;
pub(crate) mod evaluate;
pub(crate) mod evaluate_adapter;
pub(crate) mod exec_property;
pub(crate) mod factor;
pub(crate) mod file_name;
pub(crate) mod file_size;
pub(crate) mod gguf_checkpoint;
pub(crate) mod gguf_copy;
pub(crate) mod gguf_head;
pub(crate) mod gguf_split;
pub(crate) mod gguf_weights;
pub(crate) mod leak;
pub(crate) mod manifest;
pub(crate) mod memory;
pub(crate) mod model_card;
pub(crate) mod modelfile;
pub(crate) mod perplexity;
pub(crate) mod requantize;
pub(crate) mod resemblance;
pub(crate) mod subject;
pub(crate) mod tags;
pub(crate) mod target_step;
pub(crate) mod tensor_action;
pub mod tensor_report;
pub(crate) mod tensor_types;
pub(crate) mod token_files;
pub(crate) mod tokenizer_fidelity;
pub(crate) mod type_rules;
pub(crate) mod unquantized;
