//! A log of gRPC calls, to find out why a build waits: one line of JSON per call, written at its end.
//!
//! It wraps the connection below all service clients, so it sees every call. No line contains headers, and therefore no
//! credentials; an extension of the request (`CallName`) says what a call is about.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http_body::{Frame, SizeHint};
use serde_json::json;
use tonic::Code;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tonic::codegen::{BoxFuture, Bytes, Service};
use tonic::transport::{Channel, Error};

/// The file to which lines are appended.
#[derive(Debug)]
pub struct CallLog {
    file: Mutex<File>,
}

impl CallLog {
    /// Opens or creates a file. Existing content stays: several commands may share it.
    ///
    /// # Errors
    /// Fails if it cannot be written.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { file: Mutex::new(file) })
    }

    fn add(&self, line: &serde_json::Value) {
        // A single write, so that lines of several processes do not interleave. A full disk loses lines but does not
        // fail the build.
        drop(
            self.file
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .write_all(format!("{line}\n").as_bytes()),
        );
    }
}

/// The subject of a call, such as a digest or the name of a stream.
#[derive(Clone, Debug)]
pub(crate) struct CallName(pub(crate) String);

/// A connection that logs its calls, if a log is set.
#[derive(Clone)]
pub(crate) struct LoggedChannel {
    channel: Channel,
    log: Option<Arc<CallLog>>,
    server: Arc<str>,
}

impl LoggedChannel {
    /// * `server`: its name in the log
    pub(crate) fn new(channel: Channel, log: Option<Arc<CallLog>>, server: &str) -> Self {
        Self { channel, log, server: server.into() }
    }
}

impl Service<Request<Body>> for LoggedChannel {
    type Response = Response<Body>;
    type Error = Error;
    type Future = BoxFuture<Response<Body>, Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.channel.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Some(log) = &self.log else { return Box::pin(self.channel.call(request)) };
        let call = Arc::new(Call {
            log: Arc::clone(log),
            server: Arc::clone(&self.server),
            method: request.uri().path().trim_start_matches('/').to_owned(),
            about: request.extensions().get::<CallName>().cloned(),
            time: SystemTime::now(),
            began: Instant::now(),
            end: OnceLock::new(),
            n_sent: AtomicU64::new(0),
            n_received: AtomicU64::new(0),
        });
        let asked = Arc::clone(&call);
        let request = request.map(|body| Body::new(Counted { body, call: asked, is_answer: false }));
        let answer = self.channel.call(request);
        Box::pin(async move {
            let answer = answer.await.inspect_err(|_| call.ends(Code::Unavailable))?;
            // A response without a body has its status in the headers.
            call.ends_with(answer.headers());
            Ok(answer.map(|body| Body::new(Counted { body, call, is_answer: true })))
        })
    }
}

/// A call; its line is written when the last reference is dropped.
struct Call {
    log: Arc<CallLog>,
    server: Arc<str>,
    method: String,
    about: Option<CallName>,
    time: SystemTime,
    began: Instant,
    /// Status and duration at its end.
    end: OnceLock<(Code, Duration)>,
    n_sent: AtomicU64,
    n_received: AtomicU64,
}

impl Call {
    fn ends(&self, code: Code) {
        self.end.get_or_init(|| (code, self.began.elapsed()));
    }

    fn ends_with(&self, headers: &HeaderMap) {
        if let Some(status) = headers.get("grpc-status") {
            self.ends(Code::from_bytes(status.as_bytes()));
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // A call dropped before its end was cancelled.
        let (code, elapsed) = *self.end.get_or_init(|| (Code::Cancelled, self.began.elapsed()));
        let time = self.time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut line = json!({
            "time": time.as_millis() as f64 / 1e3,
            "server": &*self.server,
            "method": self.method,
        });
        if let Some(CallName(about)) = &self.about {
            line["about"] = json!(about);
        }
        line["seconds"] = json!(elapsed.as_micros() as f64 / 1e6);
        line["status"] = json!(format!("{code:?}"));
        line["bytes_sent"] = json!(*self.n_sent.get_mut());
        line["bytes_received"] = json!(*self.n_received.get_mut());
        self.log.add(&line);
    }
}

/// A body that counts its bytes, including the frames around messages.
struct Counted {
    body: Body,
    call: Arc<Call>,
    is_answer: bool,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        let Self { call, is_answer, .. } = &*self;
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                let n_bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
                let counter = if *is_answer { &call.n_received } else { &call.n_sent };
                counter.fetch_add(n_bytes, Ordering::Relaxed);
                if let Some(trailers) = frame.trailers_ref().filter(|_| *is_answer) {
                    call.ends_with(trailers);
                }
            }
            Poll::Ready(Some(Err(status))) if *is_answer => call.ends(status.code()),
            _ => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
