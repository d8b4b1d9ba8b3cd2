//! The remote cache and its workers, configured by the settings, for the executor.

pub mod cache;
pub mod error;

mod finish;
mod transport;
pub(crate) mod trust;
mod uploads;
mod watch;
mod workers;
