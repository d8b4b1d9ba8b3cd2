//! Settings for sharing results: the trusted keys, and the remote cache.
//!
//! [`CacheChoices`] come from the user. Combined with the workspace's declaration and the defaults they give
//! [`CacheSettings`]. The local store is separate from both, see [`crate::store`].

use crate::settings::declared::DeclaredCache;
use crate::settings::error::SettingsError;
use crate::settings::keys::Keys;
use crate::settings::remote::{RemoteChoices, RemoteSettings};

/// Choices of the user; the workspace and defaults determine the rest.
#[derive(Clone, Debug, Default)]
pub struct CacheChoices {
    /// The keys that sign results, and those with which results must be signed.
    pub keys: Keys,
    /// The remote cache.
    pub remote: RemoteChoices,
}

/// Settings for sharing results.
#[derive(Clone, Debug, Default)]
pub struct CacheSettings {
    /// The keys that sign results, and those with which results must be signed. They apply to the local store as well,
    /// even without a remote cache: a result that came from an unsigned cache yesterday is not a hit for a user who
    /// requires signatures today.
    pub keys: Keys,
    /// The remote cache, if there is one.
    pub remote: Option<RemoteSettings>,
}

impl CacheSettings {
    /// Combines the choices with the workspace's declaration.
    ///
    /// # Errors
    /// If they contradict each other, or a URL of the workspace names an unknown kind of server.
    pub fn new(choices: CacheChoices, declared: &DeclaredCache) -> Result<Self, SettingsError> {
        let CacheChoices { mut keys, remote } = choices;
        keys.require_signed = keys.require_signed.or_else(|| declared.require_signed.clone());
        let remote = RemoteSettings::new(remote, declared, keys.signing.is_some())?;
        Ok(Self { keys, remote })
    }
}
