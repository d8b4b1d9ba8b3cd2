//! The store in a folder on this machine.

pub mod actions;
pub mod blobs;
pub mod collect;
pub mod corruption;
mod durable;
pub mod layout;
pub mod prefix;
pub mod stats;
pub mod store;
mod sync_group;
mod use_notes;
mod uses;
pub mod verified;
pub mod verify;
