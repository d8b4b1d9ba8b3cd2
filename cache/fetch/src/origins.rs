//! The kinds of origins of a checkpoint: their files, addresses and known digests.

pub mod http_files;
pub mod hugging_face;
pub mod listing;
pub mod oci;
