//! KDL 2.0: text to a typed tree with spans and diagnostics, and back to text.
//!
//! A parse never fails: it returns everything that could be read, and all errors. This crate opens no files and does
//! not know what a node means.

mod character;
pub mod diagnostic;
mod entry;
mod grammar;
pub mod lex;
pub mod line_index;
pub mod nearest;
pub mod number;
pub mod parse;
mod parser;
pub mod print;
pub mod render;
pub mod screen;
pub mod sink;
pub mod span;
mod string;
pub mod terminal;
pub mod tree;
mod value;
mod word;
