//! Incremental analysis: from declarations to the action graph.
//!
//! ```text
//! source_file → parse → package → resolve → analyze → build_graph
//!               (text)  (targets) (labels)  (rules)   (salsa ends here)
//! ```
//!
//! The only crate that uses salsa. It contains no rules (they enter through the database), no tensors and no caches,
//! and runs no actions.

pub mod analyze;
pub mod build_graph;
pub mod check;
pub mod database;
pub mod db;
pub mod diagnostic;
pub mod disk;
pub mod execution_log;
pub mod file_system;
pub mod memory;
pub mod near_packages;
pub mod needed;
pub mod package;
pub mod packages;
pub mod path;
pub mod patterns;
pub mod query;
pub(crate) mod releases;
pub mod resolve;
pub mod source_file;
pub mod workspace;

pub(crate) mod check_node;
pub(crate) mod context;
pub(crate) mod declaration;
pub(crate) mod discover;
pub(crate) mod glob;
pub(crate) mod keys;
pub(crate) mod lowering;
pub(crate) mod outside;
pub(crate) mod parse;
pub mod quantity;
pub(crate) mod slips;
pub(crate) mod suggest;
pub(crate) mod value;
pub(crate) mod walk;
