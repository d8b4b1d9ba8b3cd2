//! The content-addressed store, the action cache and the digest memo.
