//! What "the same" means: digests and content hashing.
