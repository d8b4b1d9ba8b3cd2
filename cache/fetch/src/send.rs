//! Requests that bring something to a server, or only ask whether it has something.

use std::io::Read;
use std::time::Instant;

use ureq::http::{Method, Request, Response};
use ureq::{Body, SendBody};

use crate::client::{Access, Answer, Ask, Client, MAX_REDIRECTS, Refusal, Told, circle, target};
use crate::credentials::SecretHeader;
use crate::credentials::token_service::{self, Intent};
use crate::error::FetchError;
use crate::url::Url;

/// Whether more than this is welcome is asked before it is sent.
const ASKED_FIRST: u64 = 8 << 20;

/// What is done with what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// It takes the place of what is there.
    Put,
    /// The server decides what becomes of it.
    Post,
    /// It is added to what is there.
    Patch,
    /// Nothing is sent; what is there goes.
    Delete,
}

/// Where something is sent, and what is said about it.
#[derive(Clone, Copy, Debug)]
pub struct Sending<'a> {
    /// What is done with it.
    pub verb: Verb,
    /// Where to.
    pub url: &'a Url,
    /// Headers that anybody may see.
    pub headers: &'a [(&'a str, &'a str)],
    /// Credentials that the server is given.
    pub access: Access,
}

impl<'a> Sending<'a> {
    /// To a server that is not a registry, with nothing said about it.
    pub fn to(verb: Verb, url: &'a Url) -> Self {
        Self { verb, url, headers: &[], access: Access::Server }
    }
}

impl Client {
    /// Opens what is at an address, asking until it comes.
    ///
    /// # Errors
    /// When it does not come.
    pub fn open(&self, ask: &Ask<'_>) -> Result<Answer, FetchError> {
        self.patiently(|| self.get(ask))
    }

    /// How many bytes are at an address, as far as the server says; [`FetchError::Missing`] where nothing is.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn head(&self, ask: &Ask<'_>) -> Result<Option<u64>, FetchError> {
        let answer = self.open(&Ask { is_head: true, ..ask.clone() })?;
        Ok(answer.header("content-length").and_then(|n_bytes| n_bytes.parse().ok()))
    }

    /// Puts bytes at an address until the server takes them.
    ///
    /// * `bytes`: gives them from the first to the last, as often as they are sent
    ///
    /// # Errors
    /// When it does not.
    pub fn put<R: Read>(&self, url: &Url, n_bytes: u64, bytes: impl Fn() -> R) -> Result<(), FetchError> {
        let put = || self.admitted(&Sending::to(Verb::Put, url), n_bytes, &bytes);
        self.patiently(|| put().and_then(|answer| self.accepted(answer))).map(drop)
    }

    /// Sends bytes until the server takes them.
    ///
    /// # Errors
    /// When it does not.
    pub fn send(&self, sending: &Sending<'_>, bytes: &[u8]) -> Result<Answer, FetchError> {
        self.patiently(|| self.sent(sending, bytes))
    }

    /// Sends bytes and does not try again, because the server may have taken some of them.
    ///
    /// # Errors
    /// When it does not take them.
    pub fn send_once(&self, sending: &Sending<'_>, bytes: &[u8]) -> Result<Answer, FetchError> {
        self.sent(sending, bytes).map_err(|refusal| *refusal.error)
    }

    fn sent(&self, sending: &Sending<'_>, bytes: &[u8]) -> Result<Answer, Refusal> {
        self.admitted(sending, bytes.len() as u64, &|| bytes).and_then(|answer| self.accepted(answer))
    }

    /// An answer of any status; where it is that we are not let in, after all was tried that says who asks.
    fn admitted<R: Read>(
        &self,
        sending: &Sending<'_>,
        n_bytes: u64,
        bytes: &impl Fn() -> R,
    ) -> Result<Answer, Refusal> {
        let Sending { url, access, .. } = *sending;
        let told = || self.headers(url, access, Intent::Send);
        let (headers, since) = (told()?, Instant::now());
        let mut answer = self.answer_to(sending, headers, n_bytes, bytes)?;
        if answer.status == 401
            && access == Access::Registry
            && token_service::answer_challenge(self, &self.credentials, url, Intent::Send, &answer)?.is_some()
        {
            answer = self.answer_to(sending, told()?, n_bytes, bytes)?;
        }
        if access != Access::Nobody && self.may_know_better(url, &answer, since) {
            answer = self.answer_to(sending, told()?, n_bytes, bytes)?;
        }
        Ok(answer)
    }

    /// An answer of any status, from where those point that want the same sent elsewhere.
    fn answer_to<R: Read>(
        &self,
        sending: &Sending<'_>,
        told: Told,
        n_bytes: u64,
        bytes: &impl Fn() -> R,
    ) -> Result<Answer, Refusal> {
        let Told { headers: mut secrets, is_private } = told;
        let mut url = sending.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.send_to(&url, sending, &secrets, n_bytes, &mut bytes())?;
            if !matches!(response.status().as_u16(), 307 | 308) {
                return Ok(self.answer(&url, response, Told { headers: secrets, is_private }));
            }
            let next = target(&url, &response)?;
            if !next.is_same_server(&url) {
                secrets.clear();
            }
            url = next;
        }
        Err(circle(sending.url).into())
    }

    fn send_to(
        &self,
        url: &Url,
        sending: &Sending<'_>,
        secrets: &[SecretHeader],
        n_bytes: u64,
        bytes: &mut dyn Read,
    ) -> Result<Response<Body>, Refusal> {
        let Sending { verb, headers, .. } = *sending;
        let method = match verb {
            Verb::Put => Method::PUT,
            Verb::Post => Method::POST,
            Verb::Patch => Method::PATCH,
            Verb::Delete => Method::DELETE,
        };
        let mut request = Request::builder().method(method).uri(url.full());
        if verb != Verb::Delete {
            request = request.header("content-length", n_bytes.to_string());
        }
        // A server that does not take so much says so before it has come, not by breaking the connection.
        if n_bytes > ASKED_FIRST {
            request = request.header("expect", "100-continue");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        for header in secrets {
            request = request.header(&header.name, header.value.open());
        }
        let agent = self.agent_for(url, sending.url);
        let sent = if verb == Verb::Delete {
            request.body(()).map_err(ureq::Error::from).and_then(|request| agent.run(request))
        } else {
            let body = SendBody::from_reader(bytes);
            request.body(body).map_err(ureq::Error::from).and_then(|request| agent.run(request))
        };
        sent.map_err(|error| self.unanswered(url, &error))
    }

    fn accepted(&self, answer: Answer) -> Result<Answer, Refusal> {
        match answer.status {
            200..=299 => Ok(answer),
            _ => Err(answer.refusal(&self.patience)),
        }
    }

    /// Asks until there is an answer, or a refusal that does not pass.
    ///
    /// # Errors
    /// The last refusal.
    pub(crate) fn patiently<T>(&self, ask: impl Fn() -> Result<T, Refusal>) -> Result<T, FetchError> {
        let mut n_failed = 0;
        loop {
            match ask() {
                Ok(found) => return Ok(found),
                Err(refusal) => {
                    n_failed += 1;
                    self.wait(refusal, n_failed)?;
                }
            }
        }
    }
}
