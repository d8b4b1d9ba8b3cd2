//! Locations of the keys that sign results, and of the keys whose results count.

use std::path::PathBuf;

use mc_fetch::secret::Secret;

/// Location of a private key.
#[derive(Clone, Debug)]
pub enum PrivateKey {
    /// A file.
    File(PathBuf),
    /// The value of a variable, which is a key or the path of one.
    Variable {
        /// The name of the variable, for messages.
        name: &'static str,
        /// Its value.
        value: Secret,
    },
}

/// Locations of the keys.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// The private key that signs results.
    pub signing: Option<PrivateKey>,
    /// The file of public keys; a result must be signed by one of them.
    pub require_signed: Option<PathBuf>,
}
