//! The settings of a build and its caches: options combined with the declarations of the workspace.

use mc_driver::settings::build::BuildSettings;
use mc_driver::settings::cache::CacheSettings;
use mc_driver::settings::declared::DeclaredCache;
use mc_execute::options::{OnFailure, OnMiss};

use crate::failure::Failure;
use crate::options::environment::access;
use crate::options::global::GlobalOptions;

/// Actions beyond the number of CPUs: this many usually wait for the disk.
const N_WAITING: usize = 2;

impl GlobalOptions {
    /// Number of actions that run at a time.
    pub(crate) fn n_jobs(&self) -> usize {
        match self.jobs {
            Some(n_jobs) => n_jobs.into(),
            None => std::thread::available_parallelism().map_or(1, Into::into) + N_WAITING,
        }
    }

    /// The settings of a build.
    ///
    /// * `declared`: the remote cache of the workspace
    ///
    /// # Errors
    /// If options contradict each other or are invalid.
    pub(crate) fn build_settings(&self, declared: &DeclaredCache) -> Result<BuildSettings, Failure> {
        let is_miss_failure = self.remote_cache.remote_require_cached == Some(true);
        Ok(BuildSettings {
            n_jobs: self.n_jobs(),
            on_failure: if self.keep_going { OnFailure::KeepGoing } else { OnFailure::Stop },
            on_miss: if is_miss_failure { OnMiss::Fail } else { OnMiss::Run },
            cache: cache_settings(self, declared)?,
            store_limit: declared.store_limit.clone(),
        })
    }
}

/// The settings of caches.
///
/// # Errors
/// If options contradict each other or the workspace, or are invalid.
pub(crate) fn cache_settings(
    options: &GlobalOptions,
    declared: &DeclaredCache,
) -> Result<CacheSettings, Failure> {
    let mut choices = options.remote_cache.choices(options.workers.remote_executor.as_deref())?;
    options.connection.add_to(&mut choices.remote);
    let mut settings = CacheSettings::new(choices, declared)?;
    // Without a remote cache, the options of its connection are not checked.
    if let Some(remote) = &mut settings.remote {
        let mut connection = options.connection.connection();
        connection.offline = options.fetch.offline;
        connection.access = access(options.fetch.credential_helper.as_deref());
        options.access.add_to(&mut connection, remote.executor.is_some())?;
        remote.connection = connection;
        if remote.executor.is_some() {
            remote.workers = options.workers.settings()?;
        }
    }
    Ok(settings)
}
