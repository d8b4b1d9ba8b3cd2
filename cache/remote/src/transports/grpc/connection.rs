//! A lazily opened connection, and the common parts of its requests: headers, deadline, retries.
//!
//! The rest of the program blocks threads on responses, so the async runtime that gRPC needs is confined to this
//! module.

use std::future::Future;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use bazel_remote_apis::build::bazel::remote::execution::v2::{RequestMetadata, ToolDetails};
use mc_fetch::url::Url;
use prost::Message as _;
use tokio::runtime::Runtime;
use tonic::metadata::{Ascii, MetadataKey, MetadataMap, MetadataValue};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};

use crate::error::RemoteError;
use crate::transports::grpc::call_log::{CallName, LoggedChannel};
use crate::transports::grpc::resource::uuid;
use crate::transports::grpc::retry_delay::{delay, is_passing};
use crate::transports::grpc::settings::{Place, Settings};

/// The header that identifies the client program.
const METADATA: &str = "build.bazel.remote.execution.v2.requestmetadata-bin";

/// Threads for network transfers; callers hash and write on their own threads.
const N_THREADS: usize = 2;

/// Flow control window per stream and per connection: large enough to saturate a fast server with high latency.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 8 << 20;

/// Limit on an HTTP/2 frame; the default of 16 KiB is slow.
const MAX_FRAME: u32 = 1 << 20;

/// A connection to a server.
pub struct Connection {
    pub(crate) runtime: Runtime,
    pub(crate) channel: LoggedChannel,
    pub(crate) settings: Settings,
    metadata: MetadataMap,
    /// Address for the lookup of credentials; `None` for a socket of this machine.
    url: Option<Url>,
}

impl Connection {
    /// Prepares a connection without opening it.
    ///
    /// # Errors
    /// Fails if certificates, keys or headers cannot be used.
    pub fn new(settings: Settings) -> Result<Self, RemoteError> {
        let wrong = |reason: String| RemoteError::Address { address: settings.place.to_string(), reason };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(N_THREADS)
            .thread_name("mc-grpc")
            .enable_all()
            .build()
            .map_err(|error| wrong(format!("cannot start its threads: {error}")))?;
        let entered = runtime.enter();
        let channel = endpoint(&settings).map_err(|error| wrong(with_reasons(&error)))?.connect_lazy();
        drop(entered);
        let channel = LoggedChannel::new(channel, settings.log.clone(), &name(&settings));
        let url = settings.place.url().cloned();
        let mut metadata = MetadataMap::new();
        for header in &settings.headers {
            let (name, value) = ascii(&header.name, header.value.open())
                .ok_or_else(|| wrong(format!("the header `{}` cannot be sent", header.name)))?;
            metadata.insert(name, value);
        }
        let who = RequestMetadata {
            tool_details: Some(ToolDetails {
                tool_name: "mc".to_owned(),
                tool_version: settings.version.to_owned(),
            }),
            tool_invocation_id: uuid(),
            ..RequestMetadata::default()
        };
        metadata.insert_bin(METADATA, MetadataValue::from_bytes(&who.encode_to_vec()));
        Ok(Self { runtime, channel, settings, metadata, url })
    }

    /// The server's name in messages.
    pub fn name(&self) -> String {
        name(&self.settings)
    }

    /// Wraps a message in a request.
    ///
    /// # Errors
    /// Fails if the credential helper fails.
    pub(crate) fn request<T>(&self, message: T) -> Result<Request<T>, RemoteError> {
        let mut request = Request::new(message);
        *request.metadata_mut() = self.metadata.clone();
        if let Some(url) = &self.url {
            for header in self.settings.credentials.headers(url)? {
                if let Some((name, value)) = ascii(&header.name, header.value.open()) {
                    request.metadata_mut().insert(name, value);
                }
            }
        }
        Ok(request)
    }

    /// Wraps a message in a request, with its subject for the log of calls.
    ///
    /// # Errors
    /// Fails if the credential helper fails.
    pub(crate) fn request_about<T>(
        &self,
        about: impl Into<String>,
        message: T,
    ) -> Result<Request<T>, RemoteError> {
        let mut request = self.request(message)?;
        if self.settings.log.is_some() {
            request.extensions_mut().insert(CallName(about.into()));
        }
        Ok(request)
    }

    /// Waits for a future, up to the idle timeout.
    pub(crate) fn wait<T>(&self, future: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        self.wait_for(self.settings.idle, future)
    }

    /// Waits for a future, up to a timeout.
    pub(crate) fn wait_for<T>(
        &self,
        patience: Duration,
        future: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Status> {
        self.runtime.block_on(async {
            match tokio::time::timeout(patience, future).await {
                Ok(answer) => answer,
                Err(_) => Err(silent(patience)),
            }
        })
    }

    /// Repeats a request until it succeeds or fails permanently.
    ///
    /// * `method`: name of the method, for messages
    ///
    /// # Errors
    /// The last failure.
    pub(crate) fn ask<T>(
        &self,
        method: &'static str,
        mut once: impl FnMut() -> Result<T, Failure>,
    ) -> Result<T, RemoteError> {
        let (mut n_failed, mut has_renewed) = (0, false);
        loop {
            let began = Instant::now();
            match once() {
                Ok(answer) => return Ok(answer),
                // A refusal that took this long has used up its time.
                Err(Failure::Status(status))
                    if is_passing(&status)
                        && n_failed < self.settings.n_retries
                        && began.elapsed() < self.settings.connect =>
                {
                    n_failed += 1;
                    thread::sleep(delay(n_failed, &status, self.settings.idle));
                }
                // The credentials may have expired; newer ones are tried once.
                Err(Failure::Status(status))
                    if status.code() == Code::Unauthenticated
                        && !has_renewed
                        && self
                            .url
                            .as_ref()
                            .is_some_and(|url| self.settings.credentials.renews(url, began)) =>
                {
                    has_renewed = true;
                }
                Err(Failure::Status(status)) => return Err(self.failed(method, &status)),
                Err(Failure::Other(error)) => return Err(error),
            }
        }
    }

    /// Converts a status into an error.
    pub(crate) fn failed(&self, method: &'static str, status: &Status) -> RemoteError {
        let code = format!("{:?}", status.code());
        RemoteError::Rpc { server: self.name(), method, code, reason: self.reason(status) }
    }

    /// The text of a status without secrets, as one line of limited length.
    fn reason(&self, status: &Status) -> String {
        let mut reason = match status.code() {
            // The library's own text for a connection error is generic; its sources have the details.
            Code::Unavailable | Code::Unknown | Code::Internal => status_text(status),
            _ => status.message().to_owned(),
        };
        for header in self.settings.headers.iter().chain(self.secrets().iter()) {
            let secret = header.value.open();
            let bare = secret.rsplit(' ').next().unwrap_or(secret);
            if !bare.is_empty() {
                reason = reason.replace(bare, "***");
            }
        }
        reason.chars().map(|char| if char.is_control() { ' ' } else { char }).take(MAX_REASON).collect()
    }

    fn secrets(&self) -> Vec<mc_fetch::secret::header::SecretHeader> {
        self.url.as_ref().and_then(|url| self.settings.credentials.headers(url).ok()).unwrap_or_default()
    }
}

/// Limit on the characters shown of a server's explanation.
const MAX_REASON: usize = 300;

/// The failure of one try.
pub(crate) enum Failure {
    /// A failure of the server or the connection.
    Status(Status),
    /// Another error, for which a retry is useless.
    Other(RemoteError),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl From<RemoteError> for Failure {
    fn from(error: RemoteError) -> Self {
        Self::Other(error)
    }
}

/// The server timed out.
pub(crate) fn silent(patience: Duration) -> Status {
    Status::deadline_exceeded(format!("it sent nothing for {} s", patience.as_secs_f32()))
}

/// Converts a status into an error of a reader.
pub(crate) fn as_io(status: &Status) -> io::Error {
    io::Error::other(format!("{:?}: {}", status.code(), status_text(status)))
}

/// An error and its sources, each text once.
fn with_reasons(error: &dyn std::error::Error) -> String {
    beneath(error.to_string(), error)
}

fn status_text(status: &Status) -> String {
    beneath(status.message().to_owned(), status)
}

fn beneath(mut text: String, error: &dyn std::error::Error) -> String {
    let mut beneath = error.source();
    while let Some(reason) = beneath {
        let reason_text = reason.to_string();
        if !text.contains(&reason_text) {
            text = if text.is_empty() { reason_text } else { format!("{text}: {reason_text}") };
        }
        beneath = reason.source();
    }
    text
}

fn ascii(name: &str, value: &str) -> Option<(MetadataKey<Ascii>, MetadataValue<Ascii>)> {
    let name = MetadataKey::from_bytes(name.to_ascii_lowercase().as_bytes()).ok()?;
    let mut value: MetadataValue<Ascii> = value.parse().ok()?;
    value.set_sensitive(true);
    Some((name, value))
}

fn name(settings: &Settings) -> String {
    let Settings { place, instance, .. } = settings;
    if instance.is_empty() { place.to_string() } else { format!("{place} ({instance})") }
}

fn endpoint(settings: &Settings) -> Result<Endpoint, tonic::transport::Error> {
    let uri = match &settings.place {
        Place::Plain(url) | Place::Tls(url) => url.root(),
        Place::Unix(path) => format!("unix:{path}"),
    };
    let mut endpoint = Endpoint::from_shared(uri)?
        .user_agent(format!("mc/{}", settings.version))?
        .connect_timeout(settings.connect)
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(MAX_FRAME)
        .keep_alive_timeout(settings.idle);
    if let Some(interval) = settings.keep_alive {
        endpoint = endpoint.http2_keep_alive_interval(interval);
    }
    if let Place::Tls(_) = settings.place {
        let mut tls = ClientTlsConfig::new().with_enabled_roots();
        if let Some(authority) = &settings.pem.authority {
            tls = tls.ca_certificate(Certificate::from_pem(authority));
        }
        if let Some((certificate, key)) = &settings.pem.identity {
            tls = tls.identity(Identity::from_pem(certificate, key));
        }
        endpoint = endpoint.tls_config(tls)?;
    }
    Ok(endpoint)
}
