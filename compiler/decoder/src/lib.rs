//! The model as a program of layers, and its lowering to a graph of operators.
//!
//! A family builds a [`program::Decoder`] from a checkpoint's configuration, a container's reader builds one from its
//! keys. [`lower`] turns it into the graph that the runtime interprets and exporters serialize. Each layer kind is one
//! file under [`kinds`]. The crate reads no files and computes nothing.

pub mod activation;
pub mod kind;
pub mod kinds;
pub mod lower;
pub mod needed;
pub mod norm;
pub mod pre_tokenizer;
pub mod program;
pub mod rotary;
pub mod vocabulary;
