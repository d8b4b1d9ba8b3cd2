//! The model of a `.tflite` file: its vocabulary of operators and types, one subgraph, and the file.

pub(crate) mod code;
pub(crate) mod element_type;
pub(crate) mod file;
pub(crate) mod subgraph;
