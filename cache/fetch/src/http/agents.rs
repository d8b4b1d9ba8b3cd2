//! One request and its response: proxies, redirects and timeouts.
//!
//! Secrets are sent only to the server that they are meant for: a redirect to another server drops them, and a redirect
//! from `https` to `http` is refused. Responses are never decompressed. Authentication and retries are up to the caller
//! ([`crate::client`]).

use std::io::Read;

use ureq::config::Config;
use ureq::http::{Method, Request, Response};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{Connector, DefaultConnector};
use ureq::{Agent, Body, SendBody, Timeout};

use crate::error::FetchError;
use crate::http::answer::Answer;
use crate::http::ask::Ask;
use crate::http::auth_headers::AuthHeaders;
use crate::http::redirects::{MAX_REDIRECTS, circle, target};
use crate::http::refusal::Refusal;
use crate::http::sending::{Sending, Verb};
use crate::http::watched::Watching;
use crate::local_addresses::PublicResolver;
use crate::proxies::{Proxies, is_direct};
use crate::secret::header::SecretHeader;
use crate::stall_limit::StallLimit;
use crate::tls::Pem;
use crate::url::Url;

/// For larger bodies, `mc` asks the server for its consent before it sends the body.
const ASKED_FIRST: u64 = 8 << 20;

/// The HTTP client, one agent per route.
#[derive(Debug)]
pub(crate) struct Agents {
    /// For servers without a proxy.
    direct: Agent,
    /// For direct connections to the target of a redirect by a remote server.
    far: Agent,
    /// For servers behind a proxy, over `https` and over `http`.
    proxied: [Option<Agent>; 2],
    /// The value of `NO_PROXY`.
    no_proxy: String,
    pub(crate) stall_limit: StallLimit,
}

impl Agents {
    /// Creates agents with these proxies and the user's certificates and keys.
    ///
    /// # Errors
    /// Fails if a proxy's address cannot be used.
    pub(crate) fn new(stall_limit: StallLimit, proxies: &Proxies, pem: &Pem) -> Result<Self, FetchError> {
        let proxied = |address: &Option<String>| {
            let Some(address) = address else { return Ok(None) };
            // The client's message may quote the address, which may hold a password.
            let proxy = ureq::Proxy::new(address).map_err(|_| FetchError::Listing {
                origin: "The proxy".to_owned(),
                what: "its address cannot be used; expected `http://host:port`".to_owned(),
            })?;
            Ok::<_, FetchError>(Some(agent(&stall_limit, Some(proxy), pem)))
        };
        let proxied = [proxied(&proxies.https)?, proxied(&proxies.http)?];
        let (direct, no_proxy) = (agent(&stall_limit, None, pem), proxies.none.clone());
        let far = Agent::with_parts(config(&stall_limit, None, pem), connector(), PublicResolver::default());
        Ok(Self { direct, far, proxied, no_proxy, stall_limit })
    }

    /// Sends a request and follows redirects.
    pub(crate) fn follow(&self, ask: &Ask<'_>, reported: AuthHeaders) -> Result<Answer, Refusal> {
        let AuthHeaders { mut headers, is_private } = reported;
        let mut url = ask.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.once(ask, &url, &headers)?;
            let status = response.status().as_u16();
            if !matches!(status, 301 | 302 | 303 | 307 | 308) {
                return Ok(Answer::new(
                    &url,
                    response,
                    AuthHeaders { headers, is_private },
                    &self.stall_limit,
                ));
            }
            let next = target(&url, &response)?;
            if !next.is_same_server(&url) {
                headers.clear();
            }
            url = next;
        }
        Err(circle(ask.url).into())
    }

    /// Sends a body and follows redirects that ask to repeat it.
    ///
    /// * `bytes`: returns a reader over all bytes; called once per try
    pub(crate) fn send<R: Read>(
        &self,
        sending: &Sending<'_>,
        reported: AuthHeaders,
        n_bytes: u64,
        bytes: &impl Fn() -> R,
    ) -> Result<Answer, Refusal> {
        let AuthHeaders { headers: mut secrets, is_private } = reported;
        let mut url = sending.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.send_to(&url, sending, &secrets, n_bytes, &mut bytes())?;
            if !matches!(response.status().as_u16(), 307 | 308) {
                return Ok(Answer::new(
                    &url,
                    response,
                    AuthHeaders { headers: secrets, is_private },
                    &self.stall_limit,
                ));
            }
            let next = target(&url, &response)?;
            if !next.is_same_server(&url) {
                secrets.clear();
            }
            url = next;
        }
        Err(circle(sending.url).into())
    }

    fn once(&self, ask: &Ask<'_>, url: &Url, headers: &[SecretHeader]) -> Result<Response<Body>, Refusal> {
        // The digest covers the published bytes, so the server must not re-encode them.
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
        // This lets a server refuse a large body early, instead of breaking the connection.
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

    /// Selects the agent for an address.
    ///
    /// * `first`: the address of the original request, before redirects
    fn agent_for(&self, url: &Url, first: &Url) -> &Agent {
        let [https, http] = &self.proxied;
        let proxied = if url.is_https() { https } else { http };
        let direct = if url.is_same_server(first) || first.is_near() { &self.direct } else { &self.far };
        proxied.as_ref().filter(|_| !is_direct(&self.no_proxy, url)).unwrap_or(direct)
    }

    /// The reason for a missing response.
    fn unanswered(&self, url: &Url, error: &ureq::Error) -> Refusal {
        let is_passing = !matches!(
            error,
            ureq::Error::Tls(_) | ureq::Error::Rustls(_) | ureq::Error::Http(_) | ureq::Error::BadUri(_)
        );
        let reason = match error {
            ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => {
                format!("no connection within {} s", self.stall_limit.connect.as_secs_f32())
            }
            ureq::Error::Timeout(_) => {
                format!("it sent nothing for {} s", self.stall_limit.idle.as_secs_f32())
            }
            // The client's message may quote the header.
            ureq::Error::Http(_) => "a header for it holds characters that cannot be sent".to_owned(),
            _ => error.to_string(),
        };
        let is_silence = matches!(error, ureq::Error::Timeout(_));
        Refusal { is_silence, ..Refusal::connection(url, &reason, is_passing) }
    }
}

fn agent(stall_limit: &StallLimit, proxy: Option<ureq::Proxy>, pem: &Pem) -> Agent {
    Agent::with_parts(config(stall_limit, proxy, pem), connector(), DefaultResolver::default())
}

fn connector() -> impl Connector {
    DefaultConnector::default().chain(Watching)
}

fn config(stall_limit: &StallLimit, proxy: Option<ureq::Proxy>, pem: &Pem) -> Config {
    let (connect, idle) = (Some(stall_limit.connect), Some(stall_limit.idle));
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
