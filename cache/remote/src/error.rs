//! What goes wrong with a server.

use std::io;

use mc_fetch::error::FetchError;

/// The server, or the way to it, fails.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// An address that names no kind of server that we know.
    #[error("`{address}`: {reason}")]
    Address {
        /// The address, without what must not be seen.
        address: String,
        /// What was expected.
        reason: String,
    },
    /// A file of a shared folder.
    #[error("{path}: {source}")]
    Folder {
        /// Which.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// A server refused, or could not be reached.
    #[error("{0}{hint}", hint = hint(.0))]
    Server(#[from] FetchError),
    /// A server that speaks gRPC refused, or could not be reached.
    #[error("{server}: {method}: {code}: {reason}")]
    Rpc {
        /// Who.
        server: String,
        /// What was asked.
        method: &'static str,
        /// The kind of failure, as gRPC calls it.
        code: String,
        /// What the server says, or the system.
        reason: String,
    },
    /// A server that cannot be used at all.
    #[error("{0}")]
    Unusable(String),
    /// A file with a key that cannot be used.
    #[error("{path}: {reason}")]
    Key {
        /// Which.
        path: String,
        /// What was expected, or what the system says.
        reason: String,
    },
    /// A blob that the server does not take.
    #[error("{server} takes blobs of at most {max} bytes; this one has {n_bytes}")]
    TooLarge {
        /// Who.
        server: String,
        /// Bytes of the blob.
        n_bytes: u64,
        /// The limit.
        max: u64,
    },
    /// Bytes that are not those that were asked for.
    #[error("{server} sent {found} for {expected}; what it sends is not believed")]
    Lie {
        /// Who.
        server: String,
        /// What was asked for.
        expected: String,
        /// What came.
        found: String,
    },
    /// The store on this machine.
    #[error(transparent)]
    Store(#[from] mc_store::error::StoreError),
    /// Bytes of an input or an output on this machine.
    #[error("{0}")]
    Local(String),
    /// It failed before, so it is not asked again.
    #[error("The remote cache failed before")]
    Off,
}

/// What to do about it, at the end of a message.
fn hint(error: &FetchError) -> String {
    let help = match error {
        FetchError::TooLarge { .. } => error.help().unwrap_or_default(),
        _ => String::new(),
    };
    let mut letters = help.chars();
    letters.next().map_or_else(String::new, |first| format!("; {}{}", first.to_lowercase(), letters.as_str()))
}

impl RemoteError {
    /// Whether the server is to blame as a whole, and not one blob or this machine.
    pub fn is_of_server(&self) -> bool {
        match self {
            Self::Server(FetchError::TooLarge { .. }) => false,
            Self::Server(_)
            | Self::Folder { .. }
            | Self::Rpc { .. }
            | Self::Unusable(_)
            | Self::Address { .. } => true,
            Self::Key { .. }
            | Self::TooLarge { .. }
            | Self::Lie { .. }
            | Self::Store(_)
            | Self::Local(_)
            | Self::Off => false,
        }
    }
}
