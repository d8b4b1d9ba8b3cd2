//! Requests that bring something to a server, or only ask whether it has something.

use std::io::Read;

use ureq::http::Response;
use ureq::{Body, SendBody};

use crate::client::{Answer, Ask, Client, Refusal};
use crate::credentials::SecretHeader;
use crate::error::FetchError;
use crate::url::Url;

impl Client {
    /// Opens what is at an address, asking until it comes.
    ///
    /// # Errors
    /// When it does not come.
    pub fn open(&self, ask: &Ask<'_>) -> Result<Answer, FetchError> {
        self.patiently(|| self.get(ask))
    }

    /// Whether something is at an address; [`FetchError::Missing`] where nothing is.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn head(&self, url: &Url) -> Result<(), FetchError> {
        self.patiently(|| {
            let mut request = self.agent_for(url).head(url.full());
            let headers = self.credentials.headers(url)?;
            for header in &headers {
                request = request.header(&header.name, header.value.open());
            }
            self.accepted(url, headers, request.call())
        })
    }

    /// Puts bytes at an address, once: what was read of them is gone.
    ///
    /// # Errors
    /// When the server does not take them.
    pub fn put(&self, url: &Url, n_bytes: u64, bytes: &mut dyn Read) -> Result<(), FetchError> {
        let mut put = || -> Result<(), Refusal> {
            let mut request =
                self.agent_for(url).put(url.full()).header("content-length", n_bytes.to_string());
            let headers = self.credentials.headers(url)?;
            for header in &headers {
                request = request.header(&header.name, header.value.open());
            }
            self.accepted(url, headers, request.send(SendBody::from_reader(bytes)))
        };
        put().map_err(|refusal| *refusal.error)
    }

    fn patiently<T>(&self, ask: impl Fn() -> Result<T, Refusal>) -> Result<T, FetchError> {
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

    /// * `sent`: what the request told, which no message may repeat
    fn accepted(
        &self,
        url: &Url,
        sent: Vec<SecretHeader>,
        answer: Result<Response<Body>, ureq::Error>,
    ) -> Result<(), Refusal> {
        let response = answer.map_err(|error| self.unanswered(url, &error))?;
        let answer = self.answer(url, response, sent);
        match answer.status {
            200..=299 => Ok(()),
            _ => Err(answer.refusal(&self.patience)),
        }
    }
}
