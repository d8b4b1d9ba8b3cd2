//! Settings of a build.

use mc_execute::options::{OnFailure, OnMiss};

use crate::settings::cache::CacheSettings;
use crate::settings::store_limit::StoreLimit;

/// Settings of a build and its caches.
#[derive(Clone, Debug)]
pub struct BuildSettings {
    /// Number of actions that run at a time.
    pub n_jobs: usize,
    /// Behavior after a failure.
    pub on_failure: OnFailure,
    /// Behavior for an action whose result is in no cache.
    pub on_miss: OnMiss,
    /// The remote cache and the trusted keys.
    pub cache: CacheSettings,
    /// The size that the store may have at the end.
    pub store_limit: Option<StoreLimit>,
}

impl Default for BuildSettings {
    /// One action per CPU, and no remote cache.
    fn default() -> Self {
        Self {
            n_jobs: std::thread::available_parallelism().map_or(1, Into::into),
            on_failure: OnFailure::Stop,
            on_miss: OnMiss::Run,
            cache: CacheSettings::default(),
            store_limit: None,
        }
    }
}
