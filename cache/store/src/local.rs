//! The store in a folder on this machine.

pub mod actions;
pub mod blobs;
pub mod corruption;
mod durable;
pub mod layout;
pub mod stats;
pub mod store;
mod sync_group;
pub mod verified;
pub mod verify;
