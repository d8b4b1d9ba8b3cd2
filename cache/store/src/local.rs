//! The store in a folder on this machine.

pub mod actions;
pub mod blobs;
pub mod corruption;
pub mod layout;
pub mod stats;
pub mod store;
pub mod verified;
pub mod verify;
