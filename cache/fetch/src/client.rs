//! Authenticated requests: selects the credentials for each server, and retries.
//!
//! If a server refuses access, the client tries further credentials: a token from the service that the challenge names,
//! or a newer answer of the credential helper. Transport is in [`crate::http`].

use std::io::Read;
use std::time::Instant;

use crate::credentials::Credentials;
use crate::credentials::token_service::{Intent, Tokens};
use crate::error::FetchError;
use crate::http::agents::Agents;
use crate::http::answer::Answer;
use crate::http::ask::{Access, Ask};
use crate::http::auth_headers::AuthHeaders;
use crate::http::refusal::{Refusal, patiently};
use crate::http::sending::{Sending, Verb};
use crate::proxies::Proxies;
use crate::stall_limit::StallLimit;
use crate::tls::Pem;
use crate::url::Url;

/// Sends requests to servers.
#[derive(Debug)]
pub struct Client {
    agents: Agents,
    credentials: Credentials,
    tokens: Tokens,
}

impl Client {
    /// Creates a client with these credentials and proxies.
    ///
    /// # Errors
    /// Fails if a proxy's address cannot be used.
    pub fn new(
        credentials: Credentials,
        stall_limit: StallLimit,
        proxies: &Proxies,
    ) -> Result<Self, FetchError> {
        Self::over(credentials, stall_limit, proxies, &Pem::default())
    }

    /// Creates a client that also uses the user's certificates and keys.
    ///
    /// # Errors
    /// Fails if a proxy's address cannot be used.
    pub fn over(
        credentials: Credentials,
        stall_limit: StallLimit,
        proxies: &Proxies,
        pem: &Pem,
    ) -> Result<Self, FetchError> {
        let agents = Agents::new(stall_limit, proxies, pem)?;
        Ok(Self { agents, credentials, tokens: Tokens::default() })
    }

    /// Timeouts and retries for servers.
    pub(crate) fn stall_limit(&self) -> &StallLimit {
        &self.agents.stall_limit
    }

    /// Sends a request once.
    ///
    /// # Errors
    /// [`Refusal`] if there is no response, or its status is neither success nor `416`.
    pub fn get(&self, ask: &Ask<'_>) -> Result<Answer, Refusal> {
        let reported = || self.headers(ask.url, ask.access, Intent::Read);
        let (headers, since) = (reported()?, Instant::now());
        let mut answer = self.agents.follow(ask, headers)?;
        if answer.status == 401
            && ask.access == Access::Registry
            && self.is_let_in(ask.url, Intent::Read, &answer)?
        {
            answer = self.agents.follow(ask, reported()?)?;
        }
        if ask.access != Access::Nobody && self.may_know_better(ask.url, &answer, since) {
            answer = self.agents.follow(ask, reported()?)?;
        }
        match answer.status {
            416 if ask.from > 0 => Ok(answer),
            _ => answer.accepted(self.stall_limit()),
        }
    }

    /// Returns a short response in full, with retries.
    ///
    /// # Errors
    /// Fails if the last try fails, or the response is longer than `limit` bytes.
    pub fn text(&self, ask: &Ask<'_>, limit: u64) -> Result<Vec<u8>, FetchError> {
        let (answer, bytes) = patiently(self.stall_limit(), || {
            let mut answer = self.get(ask)?;
            let bytes = answer.short(limit)?;
            Ok((answer, bytes))
        })?;
        answer.check_plain()?;
        Ok(bytes)
    }

    /// Opens the response to a request, with retries.
    ///
    /// # Errors
    /// Fails if the last try fails.
    pub fn open(&self, ask: &Ask<'_>) -> Result<Answer, FetchError> {
        patiently(self.stall_limit(), || self.get(ask))
    }

    /// Number of bytes at an address, if the server reports it; [`FetchError::Missing`] if nothing is there.
    ///
    /// # Errors
    /// Fails if the server does not answer.
    pub fn head(&self, ask: &Ask<'_>) -> Result<Option<u64>, FetchError> {
        let answer = self.open(&Ask { is_head: true, ..ask.clone() })?;
        Ok(answer.header("content-length").and_then(|n_bytes| n_bytes.parse().ok()))
    }

    /// Uploads bytes to an address, with retries.
    ///
    /// * `bytes`: returns a reader over all bytes; called once per try
    ///
    /// # Errors
    /// Fails if the last try fails.
    pub fn put<R: Read>(&self, url: &Url, n_bytes: u64, bytes: impl Fn() -> R) -> Result<(), FetchError> {
        let put = || self.admitted(&Sending::to(Verb::Put, url), n_bytes, &bytes);
        patiently(self.stall_limit(), || put().and_then(|answer| answer.accepted(self.stall_limit())))
            .map(drop)
    }

    /// Sends bytes, with retries.
    ///
    /// # Errors
    /// Fails if the last try fails.
    pub fn send(&self, sending: &Sending<'_>, bytes: &[u8]) -> Result<Answer, FetchError> {
        patiently(self.stall_limit(), || self.sent(sending, bytes))
    }

    /// Sends bytes without retries, because the server may have processed some of them.
    ///
    /// # Errors
    /// Fails if the server does not accept them.
    pub fn send_once(&self, sending: &Sending<'_>, bytes: &[u8]) -> Result<Answer, FetchError> {
        self.sent(sending, bytes).map_err(|refusal| *refusal.error)
    }

    fn sent(&self, sending: &Sending<'_>, bytes: &[u8]) -> Result<Answer, Refusal> {
        self.admitted(sending, bytes.len() as u64, &|| bytes)
            .and_then(|answer| answer.accepted(self.stall_limit()))
    }

    /// Returns a response of any status. A refusal of access is returned only after all known credentials were tried.
    fn admitted<R: Read>(
        &self,
        sending: &Sending<'_>,
        n_bytes: u64,
        bytes: &impl Fn() -> R,
    ) -> Result<Answer, Refusal> {
        let Sending { url, access, .. } = *sending;
        let reported = || self.headers(url, access, Intent::Send);
        let (headers, since) = (reported()?, Instant::now());
        let mut answer = self.agents.send(sending, headers, n_bytes, bytes)?;
        if answer.status == 401 && access == Access::Registry && self.is_let_in(url, Intent::Send, &answer)? {
            answer = self.agents.send(sending, reported()?, n_bytes, bytes)?;
        }
        if access != Access::Nobody && self.may_know_better(url, &answer, since) {
            answer = self.agents.send(sending, reported()?, n_bytes, bytes)?;
        }
        Ok(answer)
    }

    /// Looks for credentials that a registry accepts after it refused access. Returns true if it found some.
    fn is_let_in(&self, url: &Url, intent: Intent, answer: &Answer) -> Result<bool, Refusal> {
        self.tokens.answer_challenge(&self.agents, &self.credentials, url, intent, answer)
    }

    /// Returns true if a server that refused access can be sent newer credentials.
    ///
    /// * `since`: time at which the refused credentials were sent
    fn may_know_better(&self, url: &Url, answer: &Answer, since: Instant) -> bool {
        // After a redirect, the refusing server never received the credentials.
        answer.status == 401 && answer.url.is_same_server(url) && self.credentials.renews(url, since)
    }

    /// Chooses the headers that authenticate the user to the server.
    ///
    /// * `intent`: intended use, if the server is a registry
    fn headers(&self, url: &Url, access: Access, intent: Intent) -> Result<AuthHeaders, FetchError> {
        let headers = match access {
            Access::Nobody => Vec::new(),
            Access::Server => self.credentials.headers(url)?,
            Access::Registry => match self.tokens.known(url, intent) {
                None => self.credentials.offered(url)?,
                Some(token) => {
                    // A second authorization header would contradict the registry's token.
                    let mut headers = self.credentials.fixed(url);
                    headers.retain(|header| !header.is_authorization());
                    let is_private = token.is_private || !headers.is_empty();
                    headers.push(token.header);
                    return Ok(AuthHeaders { headers, is_private });
                }
            },
        };
        Ok(AuthHeaders { is_private: !headers.is_empty(), headers })
    }
}
