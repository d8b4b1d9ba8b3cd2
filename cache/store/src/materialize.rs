//! Materializes outputs from a store into a folder of the user, as ordinary files.
//!
//! A folder of outputs appears complete or not at all: it is written in a temporary folder and moved into place by one
//! rename. Files are clones if the file system supports that and copies otherwise, never links, so that no change by
//! the user reaches the store. An unchanged folder is not written again; a record in the store holds its last state.

mod aside;
mod left;
pub mod outputs;
mod place;
pub mod tree;
