//! Settings for fetching files of declared origins.

use std::time::Duration;

use mc_fetch::origins::hugging_face;
use mc_fetch::url::{Url, UrlError};

use crate::settings::access::Access;

/// Longest silence of a server, by default.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Settings for fetching files of declared origins.
#[derive(Clone, Debug)]
pub struct FetchSettings {
    /// True if no server may be asked.
    pub offline: bool,
    /// The address of Hugging Face, or why it cannot be used; that is an error for those only who fetch something.
    pub hugging_face: Result<Url, UrlError>,
    /// Longest silence of a server.
    pub idle: Duration,
    /// Credentials and proxies.
    pub access: Access,
}

impl Default for FetchSettings {
    fn default() -> Self {
        Self {
            offline: false,
            hugging_face: Url::parse(hugging_face::ENDPOINT),
            idle: PATIENCE,
            access: Access::default(),
        }
    }
}
