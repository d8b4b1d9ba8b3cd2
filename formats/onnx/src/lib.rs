//! ONNX models for ONNX Runtime GenAI, written from the graph of operators and read back by their own bytes.
//!
//! `translation` turns the graph into ONNX nodes; each operator of the graph is a row of `operators`. [`exporter`]
//! joins it with the forms and the layout of the tensors and the configuration that the runtime reads. The protobuf
//! messages are written and parsed by this crate, so no schema is compiled.

mod accepts;
mod data_file;
mod element_type;
#[cfg(test)]
mod example_model;
pub mod exporter;
#[cfg(test)]
mod exporter_tests;
mod find_planes;
mod genai_config;
mod layout;
mod onnx_value;
mod operators;
mod proto;
mod proto_reader;
mod quantizations;
mod rotary_caches;
mod settings;
mod tensor_form;
mod translate;
mod translation;
mod value_names;
mod weight_form;
mod wire;
