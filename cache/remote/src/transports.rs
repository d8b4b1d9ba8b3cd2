//! The kinds of servers, one file each. Each implements [`crate::transport::Transport`] and is independent of results,
//! local digests and upload policy.

pub mod absent;
mod answer;
pub mod folder;
pub mod grpc;
pub mod http;
pub mod oci;
pub mod s3;
