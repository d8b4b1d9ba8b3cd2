//! A name and a password.

use crate::secret::Secret;

/// A name and a password.
#[derive(Clone, Debug)]
pub struct Login {
    /// The name.
    pub name: String,
    /// The password.
    pub password: Secret,
}
