//! Headers that authenticate the user to a server.

use crate::secret::header::SecretHeader;

/// Headers that authenticate the user to a server.
#[derive(Default)]
pub(crate) struct AuthHeaders {
    pub(crate) headers: Vec<SecretHeader>,
    /// True if they identify the user, and not just an anonymous token.
    pub(crate) is_private: bool,
}
