//! Who may ask for what: tokens, a credential helper, `.netrc`, the logins of a container client.
//!
//! Whoever calls has read the environment and the files; here it is decided which secret goes to which server. Nothing
//! secret is ever sent over plain `http`, except to this machine.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::error::FetchError;
use crate::helper::Helper;
use crate::netrc::Netrc;
use crate::secret::Secret;
use crate::url::Url;

/// Everything that a server may be told about who asks.
#[derive(Debug, Default)]
pub struct Credentials {
    /// Tokens, each for one server.
    pub tokens: Vec<(Url, Secret)>,
    /// A program that knows more.
    pub helper: Option<Helper>,
    /// Names and passwords by host.
    pub netrc: Netrc,
    /// Logins of a container client, by registry.
    pub registries: BTreeMap<String, Login>,
}

/// A name and a password.
#[derive(Clone, Debug)]
pub struct Login {
    /// The name.
    pub name: String,
    /// The password.
    pub password: Secret,
}

/// A header of a request whose value must not be seen.
#[derive(Clone)]
pub struct SecretHeader {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Secret,
}

impl fmt::Debug for SecretHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ***", self.name)
    }
}

impl SecretHeader {
    /// `Authorization: Bearer TOKEN`.
    pub fn bearer(token: &Secret) -> Self {
        Self { name: "authorization".to_owned(), value: Secret::new(&format!("Bearer {}", token.open())) }
    }

    /// `Authorization: Basic …`.
    pub fn basic(login: &Login) -> Self {
        let plain = format!("{}:{}", login.name, login.password.open());
        let value = Secret::new(&format!("Basic {}", BASE64_STANDARD.encode(plain)));
        Self { name: "authorization".to_owned(), value }
    }
}

impl Credentials {
    /// The headers for a server, from the first source that knows it; none when no source does.
    ///
    /// # Errors
    /// When the credential helper fails.
    pub fn headers(&self, url: &Url) -> Result<Vec<SecretHeader>, FetchError> {
        let headers = self.offered(url)?;
        if !headers.is_empty() || !url.is_private() {
            return Ok(headers);
        }
        Ok(self.netrc.login(url.host()).map(|login| SecretHeader::basic(&login)).into_iter().collect())
    }

    /// The headers that tokens and the helper offer for a server.
    ///
    /// # Errors
    /// When the credential helper fails.
    pub fn offered(&self, url: &Url) -> Result<Vec<SecretHeader>, FetchError> {
        if !url.is_private() {
            return Ok(Vec::new());
        }
        if let Some((_, token)) = self.tokens.iter().find(|(server, _)| server.is_same_server(url)) {
            return Ok(vec![SecretHeader::bearer(token)]);
        }
        match &self.helper {
            Some(helper) => helper.headers(url),
            None => Ok(Vec::new()),
        }
    }

    /// The login for a registry.
    pub fn registry_login(&self, url: &Url) -> Option<Login> {
        if !url.is_private() {
            return None;
        }
        let authority = url.root();
        let authority = authority.split_once("://").map_or(authority.as_str(), |(_, rest)| rest);
        self.registries.get(authority).cloned().or_else(|| self.netrc.login(url.host()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn a_token_goes_to_its_server_and_to_no_other() {
        let tokens = vec![(url("https://hf.example"), Secret::new("hf_secret"))];
        let credentials = Credentials { tokens, ..Credentials::default() };
        let headers = credentials.headers(&url("https://hf.example/a/b")).unwrap();
        assert_eq!(headers[0].value.open(), "Bearer hf_secret");
        assert_eq!(format!("{headers:?} {credentials:?}").matches("secret").count(), 0);
        for other in
            ["http://hf.example/", "https://hf.example:444/", "https://cdn.hf.example/", "https://example/"]
        {
            assert!(credentials.headers(&url(other)).unwrap().is_empty(), "{other}");
        }
    }

    #[test]
    fn a_login_is_sent_in_base64_and_never_in_the_clear() {
        let netrc = Netrc::parse("machine files.example login me password secret");
        let credentials = Credentials { netrc, ..Credentials::default() };
        let headers = credentials.headers(&url("https://files.example/a")).unwrap();
        assert_eq!(headers[0].value.open(), "Basic bWU6c2VjcmV0");
        assert!(credentials.headers(&url("http://files.example/a")).unwrap().is_empty());
    }
}
