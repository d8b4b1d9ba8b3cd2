//! The vocabulary of `.tflite` files: operators, types, and one subgraph.

pub(crate) mod code;
pub(crate) mod element_type;
pub(crate) mod subgraph;
