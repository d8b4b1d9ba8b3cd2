//! The kinds of places that a checkpoint comes from: what each has, at which addresses, and what is known of the bytes.

pub mod http_files;
pub mod hugging_face;
pub mod listing;
pub mod oci;
