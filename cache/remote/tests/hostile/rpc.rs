//! A gRPC server that encodes its own responses, so that it can send invalid ones.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bazel_remote_apis::build::bazel::remote::execution::v2::digest_function::Value as Function;
use bazel_remote_apis::build::bazel::remote::execution::v2::{
    BatchReadBlobsRequest, CacheCapabilities, ServerCapabilities, compressor,
};
use bazel_remote_apis::build::bazel::semver::SemVer;
use bazel_remote_apis::google::bytestream::ReadRequest;
use http_body::{Body as _, Frame};
use mc_remote::transports::grpc::settings::Settings;
use prost::Message as _;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Code;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, HeaderValue, Request, Response};
use tonic::codegen::{BoxFuture, Bytes, Service};

use crate::action;
use crate::attacks::{Attack, message};
use crate::flow::{Given, Stream};
use crate::over_all_transports::PATIENCE;

/// A response: bytes, a repeated piece, and the end.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) head: Vec<u8>,
    pub(crate) piece: Vec<u8>,
    pub(crate) n_pieces: u64,
    pub(crate) pause: Duration,
    pub(crate) code: Code,
}

/// A message with its frame header.
pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    framed_as(message.len() as u64, message)
}

/// A message with a wrong declared length.
pub(crate) fn framed_as(n_bytes: u64, message: &[u8]) -> Vec<u8> {
    let n_bytes = u32::try_from(n_bytes).unwrap_or(u32::MAX);
    [&[0][..], &n_bytes.to_be_bytes(), message].concat()
}

impl Answer {
    pub(crate) fn of(message: &[u8]) -> Self {
        Self { head: framed(message), piece: Vec::new(), n_pieces: 0, pause: Duration::ZERO, code: Code::Ok }
    }

    pub(crate) fn status(code: Code) -> Self {
        Self { head: Vec::new(), code, ..Self::of(b"") }
    }

    /// A message that is sent repeatedly.
    pub(crate) fn messages(message: &[u8], n_pieces: u64) -> Self {
        Self { head: Vec::new(), piece: framed(message), n_pieces, ..Self::of(b"") }
    }
}

struct Answering {
    answer: Answer,
    n_given: u64,
    waits: Option<Pin<Box<tokio::time::Sleep>>>,
    has_ended: bool,
}

impl http_body::Body for Answering {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if !self.answer.head.is_empty() {
            let head = std::mem::take(&mut self.answer.head);
            return Poll::Ready(Some(Ok(Frame::data(head.into()))));
        }
        if self.n_given < self.answer.n_pieces {
            if !self.answer.pause.is_zero() {
                let pause = self.answer.pause;
                let waits = self.waits.get_or_insert_with(|| Box::pin(tokio::time::sleep(pause)));
                std::task::ready!(Future::poll(waits.as_mut(), cx));
                self.waits = None;
            }
            self.n_given += 1;
            return Poll::Ready(Some(Ok(Frame::data(self.answer.piece.clone().into()))));
        }
        if std::mem::replace(&mut self.has_ended, true) {
            return Poll::Ready(None);
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from(self.answer.code as i32));
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }
}

type Script = dyn Fn(&str, &[u8]) -> Answer + Send + Sync;

/// The service; methods are identified by name, without the service's path.
#[derive(Clone)]
struct Rpc(Arc<Script>);

impl Service<Request<Body>> for Rpc {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let script = Arc::clone(&self.0);
        Box::pin(async move {
            let (parts, mut body) = request.into_parts();
            let mut bytes = Vec::new();
            while let Some(Ok(frame)) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                bytes.extend_from_slice(frame.data_ref().map_or(&[], |data| &data[..]));
            }
            let method = parts.uri.path().rsplit('/').next().unwrap_or_default();
            let answer = script(method, bytes.get(5..).unwrap_or_default());
            let body = Answering { answer, n_given: 0, waits: None, has_ended: false };
            let response = Response::builder().header("content-type", "application/grpc");
            Ok(response.body(Body::new(body)).unwrap())
        })
    }
}

/// The server, which runs until this is dropped.
pub(crate) struct RpcServer {
    pub(crate) address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

impl RpcServer {
    pub(crate) fn new(script: impl Fn(&str, &[u8]) -> Answer + Send + Sync + 'static) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let service = Rpc(Arc::new(script));
        let server = tonic::transport::Server::builder();
        runtime.spawn(
            async move { server.serve_with_incoming(service, TcpListenerStream::new(listener)).await },
        );
        Self { address, _runtime: runtime }
    }

    /// A server that performs an attack.
    pub(crate) fn attacking(attack: Attack) -> Self {
        Self::new(move |method, request| attacked(&attack, method, request))
    }
}

/// Settings for such a server, with short timeouts.
pub(crate) fn settings(address: SocketAddr) -> Settings {
    let idle = PATIENCE;
    Settings { connect: idle, idle, compress: true, compress_from: 1, ..action::settings(address) }
}

/// Capabilities of a server that supports everything.
pub(crate) fn capabilities() -> ServerCapabilities {
    let cache = CacheCapabilities {
        digest_functions: vec![Function::Sha256 as i32],
        supported_compressors: vec![compressor::Value::Zstd as i32],
        split_blob_support: true,
        ..CacheCapabilities::default()
    };
    let version = |minor| Some(SemVer { major: 2, minor, ..SemVer::default() });
    ServerCapabilities {
        cache_capabilities: Some(cache),
        low_api_version: version(0),
        high_api_version: version(12),
        ..ServerCapabilities::default()
    }
}

/// The response of a server that performs an attack and is otherwise correct.
pub(crate) fn attacked(attack: &Attack, method: &str, request: &[u8]) -> Answer {
    let blob = |hash: &str| attack.blobs.get(hash).cloned().unwrap_or(Given::Missing);
    match method {
        "GetCapabilities" => Answer::of(&capabilities().encode_to_vec()),
        "GetActionResult" => match &attack.result {
            Given::Missing => Answer::status(Code::NotFound),
            Given::Bytes(bytes) => Answer::of(bytes),
            Given::Stream(Stream { declared: Some(declared), piece, .. }) => {
                Answer { head: framed_as(*declared, piece), ..Answer::of(b"") }
            }
            Given::Stream(Stream { declared: None, piece, n_pieces, pause }) => {
                // One message that declares the maximum length.
                let head = framed_as(u64::MAX, b"");
                Answer { head, piece: piece.to_vec(), n_pieces: *n_pieces, pause: *pause, ..Answer::of(b"") }
            }
        },
        "Read" => {
            let ReadRequest { resource_name, read_offset, .. } = ReadRequest::decode(request).unwrap();
            let is_compressed = resource_name.contains("compressed-blobs");
            let hash = resource_name.rsplit('/').nth(1).unwrap_or_default();
            match blob(hash) {
                Given::Missing => Answer::status(Code::NotFound),
                Given::Bytes(bytes) => {
                    let rest = bytes.get(usize::try_from(read_offset).unwrap()..).unwrap_or_default();
                    let rest = if is_compressed {
                        zstd::stream::encode_all(rest, 3).unwrap()
                    } else {
                        rest.to_vec()
                    };
                    let messages =
                        rest.chunks(100_000).flat_map(|data| framed(&message(&[(10, data)]))).collect();
                    Answer { head: messages, ..Answer::of(b"") }
                }
                Given::Stream(Stream { piece, n_pieces, pause, .. }) => {
                    Answer { pause, ..Answer::messages(&message(&[(10, &piece)]), n_pieces) }
                }
            }
        }
        "BatchReadBlobs" => {
            let asked = BatchReadBlobsRequest::decode(request).unwrap();
            let mut answer = Vec::new();
            for digest in asked.digests {
                if let Given::Bytes(bytes) = blob(&digest.hash) {
                    answer.extend(message(&[(1, &message(&[(1, &digest.encode_to_vec()), (2, &bytes)]))]));
                }
            }
            Answer::of(&answer)
        }
        "FindMissingBlobs" => Answer::of(b""),
        _ => Answer::status(Code::Unimplemented),
    }
}
