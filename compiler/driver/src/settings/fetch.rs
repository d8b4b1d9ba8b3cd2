//! Settings for downloading files of declared origins.

use std::time::Duration;

use mc_fetch::origins::hugging_face;
use mc_fetch::url::{Url, UrlError};

use crate::settings::access::Access;

/// Default timeout for a silent server.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Settings for downloading files of declared origins.
#[derive(Clone, Debug)]
pub struct FetchSettings {
    /// True if no network requests are allowed.
    pub offline: bool,
    /// The URL of Hugging Face, or the reason for which it is invalid; an error only when something is downloaded.
    pub hugging_face: Result<Url, UrlError>,
    /// Timeout for a silent server.
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
