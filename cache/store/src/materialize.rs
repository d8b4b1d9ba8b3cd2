//! Brings outputs from a store into a folder of the user, as ordinary files.
//!
//! A folder of outputs appears whole or not at all: it is written aside and put in place by one rename. Files are clones
//! where the file system can do that and copies elsewhere, never links, so that nothing the user does to them reaches the
//! store. A folder that is as it was left is not written again; a record in the store says how it was left.

mod aside;
mod left;
pub mod outputs;
mod place;
pub mod tree;
