//! The model as a program of layers, and its lowering to a graph of operators.
//!
//! A family writes a [`program::Decoder`] from a checkpoint's configuration, a container's reader writes one from its
//! keys. [`lower`] turns it into the graph that the runtime interprets and exporters serialize. A layer kind is one file
//! under [`kinds`]. The crate reads nothing and computes nothing.

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
