//! Options of the command line and their conversion into settings, one file for each group.

pub(crate) mod access;
pub(crate) mod build;
pub(crate) mod connection;
pub(crate) mod duration;
pub(crate) mod environment;
pub(crate) mod fetch;
pub(crate) mod global;
pub(crate) mod remote_cache;
pub(crate) mod workers;
pub(crate) mod workspace;
