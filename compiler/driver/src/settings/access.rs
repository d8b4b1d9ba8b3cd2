//! Credentials and proxies from the environment.
//!
//! These are values and paths only. A file is read when a request is made to a server to which it may apply, see
//! `credentials`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use mc_fetch::proxies::Proxies;
use mc_fetch::secret::Secret;

/// The settings of the environment for access to servers.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The token for Hugging Face.
    pub hugging_face: Option<Token>,
    /// A program that returns headers for a URL.
    pub helper: Option<PathBuf>,
    /// The `.netrc` file, with names and passwords by host.
    pub netrc: Option<PathBuf>,
    /// The `config.json` of a container client, with logins by registry.
    pub docker_config: Option<PathBuf>,
    /// The account for Google's Application Default Credentials.
    pub google: GoogleAccount,
    /// The settings of AWS's tools.
    pub aws: Aws,
    /// The proxies.
    pub proxies: Proxies,
}

/// A token, or the file with the token.
#[derive(Clone, Debug)]
pub enum Token {
    /// The token itself.
    Value(Secret),
    /// A file that contains only the token.
    File(PathBuf),
}

/// A Google account.
#[derive(Clone, Debug)]
pub enum GoogleAccount {
    /// A service account key, or the credentials file of a login.
    File(PathBuf),
    /// The account of this machine in Google's cloud, by the host of its metadata server.
    Machine(String),
}

impl Default for GoogleAccount {
    fn default() -> Self {
        Self::Machine("metadata.google.internal".to_owned())
    }
}

/// The variables and files of AWS's tools, see [`mc_remote::aws`].
#[derive(Clone, Debug, Default)]
pub struct Aws {
    /// Variables that are set, by name.
    pub variables: BTreeMap<String, Secret>,
    /// The file with keys.
    pub credentials: Option<PathBuf>,
    /// The file with regions and endpoints.
    pub config: Option<PathBuf>,
}
