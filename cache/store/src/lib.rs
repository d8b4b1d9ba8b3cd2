//! The content-addressed store, the action cache and the digest memo.
//!
//! One folder per user holds them, shared by workspaces and by `mc` processes that run at the same time.
//! Three promises: every file appears whole or not at all; a blob is believed only if its bytes match its
//! digest; the store's own notes are checked too, so that whatever is damaged is a miss and never a lie.
//!
//! This crate does not know what an action is, what the blobs mean, or that there is a network.

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
