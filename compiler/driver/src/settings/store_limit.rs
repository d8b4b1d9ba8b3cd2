//! The size of the store of this machine.

use crate::workspace::Workspace;

/// The size that a store may have, and the workspace whose fetched files stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreLimit {
    /// Bytes that it may have.
    pub max_bytes: u64,
    /// The workspace that a command works in, if there is one.
    pub workspace: Option<Workspace>,
}
