//! Sharing of results: whose results count, and the remote cache.
//!
//! [`CacheChoices`] are what a user asked for. Together with what the workspace declares and with defaults they give
//! [`CacheSettings`]. The store of this machine is apart from both, see [`crate::store`].

use crate::settings::declared::DeclaredCache;
use crate::settings::error::SettingsError;
use crate::settings::keys::Keys;
use crate::settings::remote::{RemoteChoices, RemoteSettings};

/// Choices of a user; everything else is up to the workspace and to defaults.
#[derive(Clone, Debug, Default)]
pub struct CacheChoices {
    /// The keys that sign results, and those that results have to be signed with.
    pub keys: Keys,
    /// The remote cache.
    pub remote: RemoteChoices,
}

/// Settings for sharing results.
#[derive(Clone, Debug, Default)]
pub struct CacheSettings {
    /// The keys that sign results, and those that results have to be signed with. They also apply to the store of this
    /// machine, and where there is no remote cache: a result that came from an unsigned cache yesterday is not a hit for
    /// somebody who asks for signatures today.
    pub keys: Keys,
    /// The remote cache, if there is one.
    pub remote: Option<RemoteSettings>,
}

impl CacheSettings {
    /// Joins choices with what the workspace declares.
    ///
    /// # Errors
    /// If they contradict each other, or an address of the workspace names no known kind of server.
    pub fn new(choices: CacheChoices, declared: &DeclaredCache) -> Result<Self, SettingsError> {
        let CacheChoices { mut keys, remote } = choices;
        keys.require_signed = keys.require_signed.or_else(|| declared.require_signed.clone());
        let remote = RemoteSettings::new(remote, declared, keys.signing.is_some())?;
        Ok(Self { keys, remote })
    }
}
