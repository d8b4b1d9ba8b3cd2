//! The remote cache that `workspace.kdl` declares.

use std::path::PathBuf;

use crate::settings::download::Download;
use crate::settings::store_limit::StoreLimit;

/// The remote cache that a workspace declares. The default is a workspace that declares none.
#[derive(Clone, Debug, Default)]
pub struct DeclaredCache {
    /// The URL, as written.
    pub address: Option<String>,
    /// The name of the instance on the server.
    pub instance: Option<String>,
    /// The URL of the server whose workers run actions, as written.
    pub executor: Option<String>,
    /// True if results made here are uploaded.
    pub upload: bool,
    /// True if a build fails when the cache fails.
    pub required: bool,
    /// The blobs that are downloaded.
    pub download: Option<Download>,
    /// True if compressible blobs are transferred compressed.
    pub compression: bool,
    /// True if only the new chunks of large blobs are transferred; `None` if the workspace does not set it.
    pub chunking: Option<bool>,
    /// The file of public keys; a result must be signed by one of them.
    pub require_signed: Option<PathBuf>,
    /// The size that the store of this machine may have.
    pub store_limit: Option<StoreLimit>,
    /// True if the workspace names a second cache.
    pub has_more: bool,
}
