//! Flatbuffers: a writer that leaves room for planes, and a reader of untrusted bytes.
//!
//! A flatbuffer is a graph of tables and vectors that refer to each other by distances in bytes. Fields are known by
//! their number in a schema; this crate writes and reads two schemas, LiteRT's and LiteRT-LM's, by these numbers.
//!
//! Source: the format description of Google's FlatBuffers, "Internals".

pub(crate) mod reader;
pub(crate) mod writer;
