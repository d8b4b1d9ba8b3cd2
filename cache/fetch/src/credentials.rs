//! Sources of credentials and the servers that each one applies to: tokens, a credential helper, a Google account,
//! `.netrc`, the logins of a container client.
//!
//! The caller reads the environment and the files; this module decides which secret goes to which server. No secret is
//! sent over plain `http`, except to this machine.

pub mod docker_config;
pub mod google;
pub mod helper;
pub mod netrc;
pub(crate) mod token_service;

use std::collections::BTreeMap;
use std::time::Instant;

use crate::credentials::google::Google;
use crate::credentials::helper::Helper;
use crate::credentials::netrc::Netrc;
use crate::error::FetchError;
use crate::secret::Secret;
use crate::secret::header::SecretHeader;
use crate::secret::login::Login;
use crate::url::Url;

/// All credentials of the user.
#[derive(Debug, Default)]
pub struct Credentials {
    /// Headers set by the user, each for one server. They are sent in addition to any other credentials.
    pub headers: Vec<(Url, SecretHeader)>,
    /// Tokens, each for one server.
    pub tokens: Vec<(Url, Secret)>,
    /// The credential helper.
    pub helper: Option<Helper>,
    /// A Google account, for one server; used if the helper has no credentials for it.
    pub google: Option<(Url, Google)>,
    /// Names and passwords by host.
    pub netrc: Netrc,
    /// Logins of a container client, by registry.
    pub registries: BTreeMap<String, Login>,
}

impl Credentials {
    /// Returns the headers for a server from the first source that has any, or an empty list.
    ///
    /// # Errors
    /// As for [`Self::offered`].
    pub fn headers(&self, url: &Url) -> Result<Vec<SecretHeader>, FetchError> {
        let mut headers = self.offered(url)?;
        // `.netrc` is consulted only if no earlier source identifies the user.
        if url.is_private() && headers.len() == self.fixed(url).len() && !says_who(&headers) {
            headers.extend(self.netrc.login(url.host()).map(|login| SecretHeader::basic(&login)));
        }
        Ok(headers)
    }

    /// The headers that the user set for a server.
    pub(crate) fn fixed(&self, url: &Url) -> Vec<SecretHeader> {
        let is_meant = |server: &Url| url.is_private() && server.is_same_server(url);
        self.headers.iter().filter(|(server, _)| is_meant(server)).map(|(_, header)| header.clone()).collect()
    }

    /// The headers for a server from the user, the tokens, the helper and Google.
    ///
    /// # Errors
    /// Fails if the credential helper fails or Google issues no token.
    pub fn offered(&self, url: &Url) -> Result<Vec<SecretHeader>, FetchError> {
        if !url.is_private() {
            return Ok(Vec::new());
        }
        let mut headers = self.fixed(url);
        if says_who(&headers) {
            return Ok(headers);
        }
        if let Some((_, token)) = self.tokens.iter().find(|(server, _)| server.is_same_server(url)) {
            headers.push(SecretHeader::bearer(token));
            return Ok(headers);
        }
        if let Some(helper) = &self.helper {
            headers.extend(helper.headers(url)?);
        }
        if let Some((_, google)) = self.google.as_ref().filter(|(server, _)| server.is_same_server(url))
            && !says_who(&headers)
        {
            headers.push(google.header()?);
        }
        Ok(headers)
    }

    /// Returns true if there are newer credentials for a server that refused access (401).
    ///
    /// * `since`: time at which the refused credentials were sent
    pub fn renews(&self, url: &Url, since: Instant) -> bool {
        self.helper.as_ref().is_some_and(|helper| helper.renews(url, since))
    }

    /// The login for a registry.
    pub fn registry_login(&self, url: &Url) -> Option<Login> {
        if !url.is_private() {
            return None;
        }
        self.of_registry(url).or_else(|| self.netrc.login(url.host()))
    }

    /// The login for a server that another server named. Only exact entries count, never a default.
    pub(crate) fn own_login(&self, url: &Url) -> Option<Login> {
        if !url.is_private() {
            return None;
        }
        self.of_registry(url).or_else(|| self.netrc.own_login(url.host()))
    }

    fn of_registry(&self, url: &Url) -> Option<Login> {
        self.registries.get(&url.authority()).cloned()
    }
}

fn says_who(headers: &[SecretHeader]) -> bool {
    headers.iter().any(SecretHeader::is_authorization)
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
    fn user_headers_add_to_a_login_unless_they_authenticate() {
        let sent = |text: &str, address: &str| {
            let headers = vec![(url("https://cache.example"), SecretHeader::parse(text).unwrap())];
            let netrc = Netrc::parse("machine cache.example login me password secret");
            let credentials = Credentials { headers, netrc, ..Credentials::default() };
            let headers = credentials.headers(&url(address)).unwrap();
            headers
                .iter()
                .map(|header| format!("{}: {}", header.name, header.value.open()))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            sent("X-Team = a=b ", "https://cache.example/a"),
            ["x-team: a=b", "authorization: Basic bWU6c2VjcmV0"]
        );
        assert_eq!(sent("Authorization=Bearer t", "https://cache.example/a"), ["authorization: Bearer t"]);
        assert_eq!(sent("X-Team=a", "https://other.example/a"), Vec::<String>::new());
        assert_eq!(sent("X-Team=a", "http://cache.example:443/a"), Vec::<String>::new());
    }

    #[test]
    fn a_login_is_sent_as_base64_and_never_displayed() {
        let netrc = Netrc::parse("machine files.example login me password secret");
        let credentials = Credentials { netrc, ..Credentials::default() };
        let headers = credentials.headers(&url("https://files.example/a")).unwrap();
        assert_eq!(headers[0].value.open(), "Basic bWU6c2VjcmV0");
        assert!(credentials.headers(&url("http://files.example/a")).unwrap().is_empty());
    }
}
