//! One request and its answer: redirects, who asks, and how long anybody waits.
//!
//! What must not be seen is sent to the server that it is meant for and to no other: a redirect elsewhere goes on
//! without it, and a redirect from `https` to `http` goes nowhere. Answers come as they are, never decompressed.
//! Trying again is for those who ask ([`crate::download`], [`Client::text`]).

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use ureq::config::Config;
use ureq::http::{HeaderMap, Response};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{Connector, DefaultConnector};
use ureq::{Agent, Body, Timeout};

use crate::calendar::http_date;
use crate::credentials::token_service::{self, Intent, Token};
use crate::credentials::{Credentials, SecretHeader};
use crate::error::FetchError;
use crate::http::watched::{Watched, Watching};
use crate::nearby::FarOnly;
use crate::patience::{Paced, Patience};
use crate::proxies::{Proxies, is_direct};
use crate::tls::Pem;
use crate::url::Url;

/// More redirects than this lead in a circle, or might as well.
pub(crate) const MAX_REDIRECTS: u32 = 10;

/// A short answer is there as a whole after this many times the time for which a server may say nothing.
const SHORT: u32 = 2;

/// This much of a server's explanation is shown.
const MAX_EXPLANATION: usize = 300;

/// Asks servers.
#[derive(Debug)]
pub struct Client {
    /// For servers to which no proxy leads.
    direct: Agent,
    /// For those of them to which a server elsewhere redirects.
    far: Agent,
    /// For the others, over `https` and over `http`.
    proxied: [Option<Agent>; 2],
    /// What `NO_PROXY` says.
    no_proxy: String,
    pub(crate) credentials: Credentials,
    pub(crate) patience: Patience,
    /// Headers that token services gave, by registry and scope.
    pub(crate) tokens: Mutex<BTreeMap<String, Token>>,
}

/// Credentials that a server is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Those that are known for it.
    #[default]
    Server,
    /// The same, and it is an OCI registry, which says where tokens come from.
    Registry,
    /// None: another server sent us there.
    Nobody,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// The address.
    pub url: &'a Url,
    /// Media types that are understood.
    pub accept: Option<&'static str>,
    /// The first byte wanted, when it is not the first of all.
    pub from: u64,
    /// The version that the bytes before `from` are of.
    pub if_range: Option<&'a str>,
    /// Credentials that the server is given.
    pub access: Access,
    /// True if only the existence of the resource is asked for, not its bytes.
    pub is_head: bool,
}

/// What a server answered.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Where the answer came from, after redirects.
    pub url: Url,
    headers: HeaderMap,
    sent: Vec<SecretHeader>,
    /// True if the server that was asked first was told who asks: what it gave is not for everybody.
    pub is_private: bool,
    /// How long a short answer may take.
    short_time: Duration,
    /// The bytes.
    pub body: Paced<Box<dyn Read + Send>>,
}

/// Why there is no answer, or none of use, and whether it may help to ask again.
#[derive(Debug)]
pub struct Refusal {
    /// What happened.
    pub error: Box<FetchError>,
    /// Whether another try may help.
    pub is_passing: bool,
    /// Whether the server said nothing until its time was up.
    pub is_silence: bool,
    /// How long the server wants to be left alone.
    pub after: Option<Duration>,
}

impl<'a> Ask<'a> {
    /// Everything at an address.
    pub fn whole(url: &'a Url) -> Self {
        Self { url, accept: None, from: 0, if_range: None, access: Access::Server, is_head: false }
    }
}

impl Client {
    /// A client with these credentials, through these proxies.
    ///
    /// # Errors
    /// When a proxy's address cannot be used.
    pub fn new(credentials: Credentials, patience: Patience, proxies: &Proxies) -> Result<Self, FetchError> {
        Self::over(credentials, patience, proxies, &Pem::default())
    }

    /// The same with certificates and keys of the user's.
    ///
    /// # Errors
    /// When a proxy's address cannot be used.
    pub fn over(
        credentials: Credentials,
        patience: Patience,
        proxies: &Proxies,
        pem: &Pem,
    ) -> Result<Self, FetchError> {
        let proxied = |address: &Option<String>| {
            let Some(address) = address else { return Ok(None) };
            // The client's message may quote the address, which may hold a password.
            let proxy = ureq::Proxy::new(address).map_err(|_| FetchError::Listing {
                origin: "The proxy".to_owned(),
                what: "its address cannot be used; expected `http://host:port`".to_owned(),
            })?;
            Ok::<_, FetchError>(Some(agent(&patience, Some(proxy), pem)))
        };
        let proxied = [proxied(&proxies.https)?, proxied(&proxies.http)?];
        let (direct, no_proxy) = (agent(&patience, None, pem), proxies.none.clone());
        let far = Agent::with_parts(config(&patience, None, pem), connector(), FarOnly::default());
        Ok(Self { direct, far, proxied, no_proxy, credentials, patience, tokens: Mutex::default() })
    }

    /// Asks once.
    ///
    /// # Errors
    /// [`Refusal`] when there is no answer, or one that is neither success nor `416`.
    pub fn get(&self, ask: &Ask<'_>) -> Result<Answer, Refusal> {
        let told = || self.headers(ask.url, ask.access, Intent::Read);
        let (headers, since) = (told()?, Instant::now());
        let mut answer = self.follow(ask, headers)?;
        if answer.status == 401
            && ask.access == Access::Registry
            && token_service::answer_challenge(self, &self.credentials, ask.url, Intent::Read, &answer)?
                .is_some()
        {
            answer = self.follow(ask, told()?)?;
        }
        if ask.access != Access::Nobody && self.may_know_better(ask.url, &answer, since) {
            answer = self.follow(ask, told()?)?;
        }
        match answer.status {
            200..=299 => Ok(answer),
            416 if ask.from > 0 => Ok(answer),
            _ => Err(answer.refusal(&self.patience)),
        }
    }

    /// Whether a server that does not let in who asks can be told more than it was.
    ///
    /// * `since`: when it was told
    pub(crate) fn may_know_better(&self, url: &Url, answer: &Answer, since: Instant) -> bool {
        // Another server was told nothing.
        answer.status == 401 && answer.url.is_same_server(url) && self.credentials.renews(url, since)
    }

    /// Chooses the headers that tell the server who asks.
    ///
    /// * `intent`: what is wanted of it, where it is a registry
    pub(crate) fn headers(&self, url: &Url, access: Access, intent: Intent) -> Result<Told, FetchError> {
        let headers = match access {
            Access::Nobody => Vec::new(),
            Access::Server => self.credentials.headers(url)?,
            Access::Registry => match token_service::known(self, url, intent) {
                None => self.credentials.offered(url)?,
                Some(token) => {
                    // Somebody else's word for who asks would contradict the registry's.
                    let mut headers = self.credentials.fixed(url);
                    headers.retain(|header| !header.is_authorization());
                    let is_private = token.is_private || !headers.is_empty();
                    headers.push(token.header);
                    return Ok(Told { headers, is_private });
                }
            },
        };
        Ok(Told { is_private: !headers.is_empty(), headers })
    }

    /// The whole of a short text, asked for until it comes.
    ///
    /// # Errors
    /// When it does not come, or is longer than `limit` bytes.
    pub fn text(&self, ask: &Ask<'_>, limit: u64) -> Result<Vec<u8>, FetchError> {
        let mut n_failed = 0;
        loop {
            let tried = self.get(ask).and_then(|mut answer| {
                let bytes = answer.short(limit)?;
                Ok((answer, bytes))
            });
            match tried {
                Ok((answer, bytes)) => {
                    answer.check_plain()?;
                    return Ok(bytes);
                }
                Err(refusal) => {
                    n_failed += 1;
                    self.wait(refusal, n_failed)?;
                }
            }
        }
    }

    /// Waits before another try, where that may help.
    ///
    /// # Errors
    /// The refusal, when it does not help, or was tried too often.
    pub(crate) fn wait(&self, refusal: Refusal, n_failed: u32) -> Result<(), FetchError> {
        let had_its_time = refusal.is_silence && !self.patience.asks_silent;
        if !refusal.is_passing || had_its_time || n_failed > self.patience.n_retries {
            return Err(*refusal.error);
        }
        let delay = self.patience.delay(n_failed).max(refusal.after.unwrap_or_default());
        thread::sleep(delay);
        Ok(())
    }

    /// Asks, and goes where the answer points.
    pub(crate) fn follow(&self, ask: &Ask<'_>, told: Told) -> Result<Answer, Refusal> {
        let Told { mut headers, is_private } = told;
        let mut url = ask.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.once(ask, &url, &headers)?;
            let status = response.status().as_u16();
            if !matches!(status, 301 | 302 | 303 | 307 | 308) {
                return Ok(self.answer(&url, response, Told { headers, is_private }));
            }
            let next = target(&url, &response)?;
            if !next.is_same_server(&url) {
                headers.clear();
            }
            url = next;
        }
        Err(circle(ask.url).into())
    }

    pub(crate) fn answer(&self, url: &Url, response: Response<Body>, told: Told) -> Answer {
        let Told { headers: sent, is_private } = told;
        let status = response.status().as_u16();
        let (parts, body) = response.into_parts();
        let short_time = self.patience.idle.saturating_mul(SHORT);
        let body: Box<dyn Read + Send> = Box::new(Watched::new(body.into_reader(), short_time));
        let body = Paced::new(body, self.patience.idle);
        Answer { status, url: url.clone(), headers: parts.headers, sent, is_private, short_time, body }
    }

    /// The agent for an address.
    ///
    /// * `first`: the address that was asked first; others are where it redirects to
    pub(crate) fn agent_for(&self, url: &Url, first: &Url) -> &Agent {
        let [https, http] = &self.proxied;
        let proxied = if url.is_https() { https } else { http };
        let direct = if url.is_same_server(first) || first.is_near() { &self.direct } else { &self.far };
        proxied.as_ref().filter(|_| !is_direct(&self.no_proxy, url)).unwrap_or(direct)
    }

    fn once(&self, ask: &Ask<'_>, url: &Url, headers: &[SecretHeader]) -> Result<Response<Body>, Refusal> {
        // What is hashed are the bytes that were published, so no server may send them in another coding.
        let agent = self.agent_for(url, ask.url);
        let request = if ask.is_head { agent.head(url.full()) } else { agent.get(url.full()) };
        let mut request = request.header("accept-encoding", "identity");
        if let Some(accept) = ask.accept {
            request = request.header("accept", accept);
        }
        if ask.from > 0 {
            request = request.header("range", format!("bytes={}-", ask.from));
            if let Some(version) = ask.if_range {
                request = request.header("if-range", version);
            }
        }
        for header in headers {
            request = request.header(&header.name, header.value.open());
        }
        request.call().map_err(|error| self.unanswered(url, &error))
    }

    /// Why there was no answer.
    pub(crate) fn unanswered(&self, url: &Url, error: &ureq::Error) -> Refusal {
        let is_passing = !matches!(
            error,
            ureq::Error::Tls(_) | ureq::Error::Rustls(_) | ureq::Error::Http(_) | ureq::Error::BadUri(_)
        );
        let reason = match error {
            ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => {
                format!("no connection came about within {} s", self.patience.connect.as_secs_f32())
            }
            ureq::Error::Timeout(_) => {
                format!("it said nothing for {} s", self.patience.idle.as_secs_f32())
            }
            // The client's message may quote a header that it could not send.
            ureq::Error::Http(_) => "a header for it holds characters that cannot be sent".to_owned(),
            _ => error.to_string(),
        };
        let is_silence = matches!(error, ureq::Error::Timeout(_));
        Refusal { is_silence, ..Refusal::connection(url, &reason, is_passing) }
    }
}

fn agent(patience: &Patience, proxy: Option<ureq::Proxy>, pem: &Pem) -> Agent {
    Agent::with_parts(config(patience, proxy, pem), connector(), DefaultResolver::default())
}

fn connector() -> impl Connector {
    DefaultConnector::default().chain(Watching)
}

fn config(patience: &Patience, proxy: Option<ureq::Proxy>, pem: &Pem) -> Config {
    let (connect, idle) = (Some(patience.connect), Some(patience.idle));
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(proxy)
        .tls_config(pem.config())
        .user_agent(concat!("mc/", env!("CARGO_PKG_VERSION")))
        .timeout_resolve(connect)
        .timeout_connect(connect)
        .timeout_send_request(idle)
        .timeout_recv_response(idle)
        .timeout_per_read(idle)
        .timeout_per_write(idle)
        .max_response_header_size(64 * 1024);
    config.build()
}

/// Headers that tell a server who asks.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) headers: Vec<SecretHeader>,
    /// True if the user is in them, and not only a token that anybody gets.
    pub(crate) is_private: bool,
}

impl Answer {
    /// The whole of an answer that is short, and comes at once: a server must not keep anybody waiting for a few bytes.
    ///
    /// # Errors
    /// When it breaks off, takes too long, or is longer than `limit` bytes.
    pub(crate) fn short(&mut self, limit: u64) -> Result<Vec<u8>, Refusal> {
        let bytes = self.beginning(limit + 1).map_err(|error| Refusal::broken(&self.url, &error))?;
        if bytes.len() as u64 > limit {
            let what = format!("sent more than {limit} bytes, which is the limit for such an answer");
            return Err(FetchError::Lie { url: self.url.clone(), what }.into());
        }
        Ok(bytes)
    }

    /// As [`Self::short`], as text.
    ///
    /// # Errors
    /// As [`Self::short`], or when it is not text.
    pub fn short_text(mut self, limit: u64) -> Result<String, FetchError> {
        let bytes = self.short(limit).map_err(|refusal| *refusal.error)?;
        let what = "sent bytes that are not text".to_owned();
        String::from_utf8(bytes).map_err(|_| FetchError::Lie { url: self.url.clone(), what })
    }

    /// The first bytes, as many as there are and no more than `limit`.
    fn beginning(&mut self, limit: u64) -> io::Result<Vec<u8>> {
        let (began, mut bytes) = (Instant::now(), Vec::new());
        let mut buffer = vec![0; 16 << 10];
        loop {
            let room = usize::try_from(limit - bytes.len() as u64).unwrap_or(usize::MAX).min(buffer.len());
            let n_read = match self.body.read(&mut buffer[..room]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            if n_read == 0 {
                return Ok(bytes);
            }
            bytes.extend_from_slice(&buffer[..n_read]);
            if began.elapsed() > self.short_time {
                let what = format!("{} bytes came in {} s", bytes.len(), began.elapsed().as_secs_f32());
                return Err(io::Error::new(io::ErrorKind::TimedOut, what));
            }
        }
    }

    /// A header, when it is there once and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let first = values.next()?.to_str().ok()?;
        values.next().is_none().then(|| first.trim())
    }

    /// Whether the bytes are those that were published.
    ///
    /// # Errors
    /// When they are compressed although nobody asked for it.
    pub fn check_plain(&self) -> Result<(), FetchError> {
        match self.headers.get("content-encoding").map(|value| value.to_str().unwrap_or("?")) {
            None | Some("identity" | "") => Ok(()),
            Some(coding) => {
                let what = format!(
                    "sent the bytes in the coding `{}`, expected them as they are",
                    printable(coding)
                );
                Err(FetchError::Lie { url: self.url.clone(), what })
            }
        }
    }

    /// An answer that says no, as an error.
    pub(crate) fn refusal(mut self, patience: &Patience) -> Refusal {
        let (url, status) = (self.url.clone(), self.status);
        let message = self.explanation();
        let date = self.header("date").and_then(http_date);
        let after = self.header("retry-after").and_then(|text| retry_after(text, date));
        let error = match status {
            401 | 403 => FetchError::Denied { url, status, message },
            404 | 410 => FetchError::Missing { url, status, message },
            413 => FetchError::TooLarge { url, message },
            408 | 425 | 429 | 500..=599 => {
                if let Some(seconds) = after.filter(|seconds| *seconds > patience.longest_delay) {
                    let limit = patience.longest_delay;
                    return FetchError::Busy { url, seconds, limit }.into();
                }
                let error = FetchError::Status { url, status, expected: "200", message };
                return Refusal { error: error.into(), is_passing: true, is_silence: false, after };
            }
            _ => FetchError::Status { url, status, expected: "200", message },
        };
        error.into()
    }

    /// What the server says about its refusal, without what was told to it.
    fn explanation(&mut self) -> String {
        let said = match self.header("x-error-message") {
            Some(said) => said.to_owned(),
            None => {
                // An explanation that cannot be read is none.
                let body = self.beginning(4096).unwrap_or_default();
                json_error(&body).or_else(|| xml_error(&body)).unwrap_or_default()
            }
        };
        let mut said = printable(&said);
        for header in &self.sent {
            for secret in [header.value.open(), header.value.open().rsplit(' ').next().unwrap_or_default()] {
                if !secret.is_empty() {
                    said = said.replace(secret, "***");
                }
            }
        }
        for secret in self.url.secrets() {
            said = said.replace(secret, "***");
        }
        said.chars().take(MAX_EXPLANATION).collect()
    }
}

impl Refusal {
    pub(crate) fn connection(url: &Url, reason: &str, is_passing: bool) -> Self {
        let error = FetchError::Connection { url: url.clone(), reason: reason.to_owned(), is_passing };
        Self { error: error.into(), is_passing, is_silence: false, after: None }
    }

    /// A connection that failed while its bytes were read.
    pub(crate) fn broken(url: &Url, error: &io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        let is_silence =
            error.kind() == io::ErrorKind::TimedOut || matches!(inner, Some(ureq::Error::Timeout(_)));
        Self { is_silence, ..Self::connection(url, &error.to_string(), true) }
    }
}

impl From<FetchError> for Refusal {
    fn from(error: FetchError) -> Self {
        Self { error: error.into(), is_passing: false, is_silence: false, after: None }
    }
}

/// A server that redirects without an end.
pub(crate) fn circle(url: &Url) -> FetchError {
    FetchError::Redirect { url: url.clone(), what: format!("more than {MAX_REDIRECTS} times") }
}

/// Where a redirect leads.
pub(crate) fn target(url: &Url, response: &Response<Body>) -> Result<Url, FetchError> {
    let refuse = |what: String| FetchError::Redirect { url: url.clone(), what };
    let location = response.headers().get("location").and_then(|value| value.to_str().ok());
    let location = location.ok_or_else(|| refuse("and does not say where".to_owned()))?;
    let next = url.join(location).map_err(|error| refuse(format!("to nowhere: {error}")))?;
    url.may_lead_to(&next).map_err(refuse)?;
    Ok(next)
}

/// `Retry-After`: seconds, or a date. A date is counted from the server's own (`Date`), so that it does not matter what
/// this machine's clock says; without one it says nothing.
fn retry_after(text: &str, date: Option<u64>) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    Some(Duration::from_secs(http_date(text)?.saturating_sub(date?)))
}

/// The `error` or `message` of a JSON object.
fn json_error(body: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let registry = value.get("errors").and_then(|errors| errors.get(0));
    let said = [value.get("error"), value.get("message"), registry.and_then(|error| error.get("message"))];
    said.into_iter().flatten().find_map(|said| said.as_str().map(str::to_owned))
}

/// The code and the message of a bucket's XML; the rest may repeat what was signed.
fn xml_error(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let within = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(found, _)| found)
    };
    let code = within("Code")?;
    Some(within("Message").map_or_else(|| code.to_owned(), |message| format!("{code}: {message}")))
}

fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_says_when_to_come_again_by_its_own_clock() {
        assert_eq!(retry_after("7", None), Some(Duration::from_secs(7)));
        // Whatever year this machine believes it to be.
        let at = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(retry_after(at, Some(784_111_770)), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(at, Some(784_111_780)), Some(Duration::ZERO));
        assert_eq!(retry_after(at, None), None);
    }

    #[test]
    fn explanations_are_found_in_json_and_in_the_xml_of_buckets() {
        let xml = b"<?xml version=\"1.0\"?><Error><Code>NoSuchBucket</Code><Message>Not there</Message><Key>k</Key></Error>";
        assert_eq!(xml_error(xml).as_deref(), Some("NoSuchBucket: Not there"));
        assert_eq!(xml_error(b"<html>"), None);
        assert_eq!(json_error(br#"{"error": "gated"}"#).as_deref(), Some("gated"));
        assert_eq!(json_error(br#"{"errors": [{"message": "denied"}]}"#).as_deref(), Some("denied"));
        assert_eq!(json_error(b"<html>"), None);
    }
}
