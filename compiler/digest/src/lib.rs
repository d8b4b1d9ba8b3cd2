//! What "the same" means: digests and content hashing.
//!
//! Two things are the same when their digests are equal: blobs by the BLAKE3 hash of their bytes
//! ([`digest`], [`hasher`]), values by the hash of a specified encoding ([`content_hash`]).
//!
//! This crate is the only door to `blake3` and knows nothing of models, files or graphs.

pub mod content_hash;
pub mod digest;
pub mod hasher;
