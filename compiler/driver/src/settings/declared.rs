//! The remote cache that `workspace.kdl` declares.

use std::path::PathBuf;

use crate::settings::download::Download;
use crate::settings::store_limit::StoreLimit;

/// The remote cache that a workspace declares. The default is a workspace that declares none.
#[derive(Clone, Debug, Default)]
pub struct DeclaredCache {
    /// The address, as it is written.
    pub address: Option<String>,
    /// The name of the cache, among those that a server keeps.
    pub instance: Option<String>,
    /// The address of the server whose workers run actions, as it is written.
    pub executor: Option<String>,
    /// True if results made here are sent there.
    pub upload: bool,
    /// True if a build fails when the cache does.
    pub required: bool,
    /// The blobs that are fetched.
    pub download: Option<Download>,
    /// True if blobs that shrink travel compressed.
    pub compression: bool,
    /// True if only the new chunks of large blobs travel; `None` if the workspace does not say.
    pub chunking: Option<bool>,
    /// The file of public keys of which one must have signed a result.
    pub require_signed: Option<PathBuf>,
    /// The size that the store of this machine may have.
    pub store_limit: Option<StoreLimit>,
    /// True if the workspace names a second cache.
    pub has_more: bool,
}
