//! Where the floors meet: rules and analysis give targets, the executor and the store build them.

pub(crate) mod credentials;
pub(crate) mod declarations;
pub(crate) mod engine;
pub(crate) mod fetching;
pub(crate) mod input_root;
pub(crate) mod model;
pub(crate) mod publish;
pub(crate) mod series;
pub(crate) mod targets;
pub(crate) mod team_cache;
pub(crate) mod team_settings;
pub(crate) mod team_transport;
pub(crate) mod team_trust;
pub(crate) mod team_uploads;
pub(crate) mod team_watch;
pub(crate) mod team_workers;
pub(crate) mod tensor_reports;
