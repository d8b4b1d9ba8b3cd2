//! Headers that tell a server who asks.

use crate::secret::header::SecretHeader;

/// Headers that tell a server who asks.
#[derive(Default)]
pub(crate) struct AuthHeaders {
    pub(crate) headers: Vec<SecretHeader>,
    /// True if the user is in them, and not only a token that anybody gets.
    pub(crate) is_private: bool,
}
