//! Equality by digest: digests of bytes and content hashing of values.
//!
//! Two things are the same if their digests are equal: blobs by the BLAKE3 hash of their bytes ([`digest`],
//! [`hasher`]), values by the hash of a specified encoding ([`content_hash`]).
//!
//! Only this crate uses `blake3`. It knows nothing of models, files or graphs.

pub mod content_hash;
pub mod digest;
pub mod hasher;
