//! Output for users: progress while a command runs, and its results at the end.

pub(crate) mod clock;
pub(crate) mod diagnostic;
pub(crate) mod error;
pub(crate) mod failure;
pub(crate) mod fetching;
pub(crate) mod fidelity;
pub(crate) mod frame;
pub(crate) mod gates;
pub(crate) mod lines;
pub(crate) mod listing;
pub(crate) mod path;
pub(crate) mod plural;
pub(crate) mod printable;
pub(crate) mod progress;
pub(crate) mod size;
pub(crate) mod summary;
pub(crate) mod table;
pub(crate) mod targets;
pub(crate) mod tracker;
pub(crate) mod warning;
