//! Credentials and proxies as the environment names them.
//!
//! These are values and paths only. A file is read when a server is asked that it may be for, see
//! [`crate::credentials`].

use std::collections::BTreeMap;
use std::path::PathBuf;

use mc_fetch::proxies::Proxies;
use mc_fetch::secret::Secret;

/// Everything that the environment says about access to servers.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The token for Hugging Face.
    pub hugging_face: Option<Token>,
    /// A program that knows the headers for an address.
    pub helper: Option<PathBuf>,
    /// The `.netrc` file, with names and passwords by host.
    pub netrc: Option<PathBuf>,
    /// The `config.json` of a container client, with logins by registry.
    pub docker_config: Option<PathBuf>,
    /// The account that stands for Google's Application Default Credentials.
    pub google: GoogleAccount,
    /// The settings of AWS's tools.
    pub aws: Aws,
    /// The ways to servers elsewhere.
    pub proxies: Proxies,
}

/// A token, or the file that holds it.
#[derive(Clone, Debug)]
pub enum Token {
    /// The token itself.
    Value(Secret),
    /// A file that holds nothing else.
    File(PathBuf),
}

/// An account of Google's.
#[derive(Clone, Debug)]
pub enum GoogleAccount {
    /// The key of a service, or what a login left.
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
