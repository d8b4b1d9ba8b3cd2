//! The content-addressed store, the action cache and the digest memo.
//!
//! One folder per user holds them, shared by workspaces and by concurrent `mc` processes. Three guarantees: every file
//! appears complete or not at all; a blob is used only if its bytes match its digest; the store's own records are
//! verified too, so that damage causes a miss and never a wrong result.
//!
//! This crate is independent of actions, of the meaning of blobs, and of the network.

pub mod attester;
pub mod duration_notes;
pub mod error;
mod folder_lock;
pub mod input_memo;
pub mod local;
pub mod mapping;
pub mod materialize;
pub mod memory;
pub mod publish;
pub mod reading;
pub mod record;
pub mod session;
mod sharded;
pub mod stamp;
pub mod traits;
