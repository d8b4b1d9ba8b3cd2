//! An in-memory server with the Remote Execution API and configurable abilities.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bazel_remote_apis::build::bazel::remote::execution::v2::action_cache_server::{
    ActionCache, ActionCacheServer,
};
use bazel_remote_apis::build::bazel::remote::execution::v2::batch_read_blobs_response::Response as ReadOne;
use bazel_remote_apis::build::bazel::remote::execution::v2::batch_update_blobs_response::Response as UpdateOne;
use bazel_remote_apis::build::bazel::remote::execution::v2::capabilities_server::{
    Capabilities, CapabilitiesServer,
};
use bazel_remote_apis::build::bazel::remote::execution::v2::content_addressable_storage_server::{
    ContentAddressableStorage, ContentAddressableStorageServer,
};
use bazel_remote_apis::build::bazel::remote::execution::v2::digest_function::Value as Function;
use bazel_remote_apis::build::bazel::remote::execution::v2::{
    ActionResult, BatchReadBlobsRequest, BatchReadBlobsResponse, BatchUpdateBlobsRequest,
    BatchUpdateBlobsResponse, CacheCapabilities, Digest, FastCdc2020Params, FindMissingBlobsRequest,
    FindMissingBlobsResponse, GetActionResultRequest, GetCapabilitiesRequest, GetChunkMappingRequest,
    GetChunkMappingResponse, GetTreeRequest, GetTreeResponse, RegisterChunkMappingRequest,
    RegisterChunkMappingResponse, ServerCapabilities, SpliceBlobRequest, SpliceBlobResponse,
    SplitBlobRequest, SplitBlobResponse, UpdateActionResultRequest, compressor,
};
use bazel_remote_apis::build::bazel::semver::SemVer;
use bazel_remote_apis::google::bytestream::byte_stream_server::{ByteStream, ByteStreamServer};
use bazel_remote_apis::google::bytestream::{
    QueryWriteStatusRequest, QueryWriteStatusResponse, ReadRequest, ReadResponse, WriteRequest, WriteResponse,
};
use bazel_remote_apis::google::{protobuf, rpc};
use mc_remote::function::DigestFunction;
use prost::Message as _;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};

/// Abilities of a server.
#[derive(Clone, Debug)]
pub(crate) struct Abilities {
    /// The digest functions that it advertises.
    pub(crate) functions: Vec<Function>,
    /// The digest function with which it verifies; a broken server advertises another.
    pub(crate) checks: DigestFunction,
    /// Limit on the bytes of a batch; 0 states none.
    pub(crate) max_batch: i64,
    /// True if streams may be compressed.
    pub(crate) zstd: bool,
    /// The average chunk size, if it joins chunks.
    pub(crate) chunks: Option<u64>,
    /// True if it lists the chunks of a blob.
    pub(crate) splits: bool,
    /// The minor version of the API.
    pub(crate) minor: i32,
    /// True if results may be written.
    pub(crate) takes_results: bool,
    /// True if an interrupted write can be resumed.
    pub(crate) resumes: bool,
    /// If set, the first request for a result is refused with this wait.
    pub(crate) puts_off: Option<Duration>,
    /// True if the first uploaded result is stored with a changed output name.
    pub(crate) garbles: bool,
    /// The required `Authorization` for reading results, if any.
    pub(crate) lets_in: Option<&'static str>,
}

impl Default for Abilities {
    fn default() -> Self {
        Self {
            functions: vec![Function::Sha256],
            checks: DigestFunction::Sha256,
            max_batch: 0,
            zstd: false,
            chunks: None,
            splits: false,
            minor: 12,
            takes_results: true,
            resumes: false,
            puts_off: None,
            garbles: false,
            lets_in: None,
        }
    }
}

/// Requests that a server received.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Number of calls of each method.
    pub(crate) calls: BTreeMap<&'static str, usize>,
    /// The largest batch, in bytes of blobs.
    pub(crate) largest_batch: usize,
    /// Bytes of blobs received over the network.
    pub(crate) n_bytes: usize,
    /// The resource names of streams.
    pub(crate) resources: Vec<String>,
}

#[derive(Default)]
struct State {
    blobs: BTreeMap<String, Vec<u8>>,
    results: BTreeMap<String, ActionResult>,
    layouts: BTreeMap<String, Vec<Digest>>,
    unfinished: BTreeMap<String, Vec<u8>>,
    seen: Seen,
}

/// The server, which runs until it is dropped.
pub(crate) struct GrpcServer {
    pub(crate) address: SocketAddr,
    kept: Kept,
    _runtime: tokio::runtime::Runtime,
}

#[derive(Clone)]
struct Kept {
    abilities: Abilities,
    state: Arc<Mutex<State>>,
}

/// Message size for reading a blob.
const MESSAGE: usize = 100_000;

impl GrpcServer {
    pub(crate) fn new(abilities: Abilities) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let kept = Kept { abilities, state: Arc::default() };
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let server = tonic::transport::Server::builder()
            .add_service(CapabilitiesServer::new(kept.clone()))
            .add_service(ActionCacheServer::new(kept.clone()))
            .add_service(ContentAddressableStorageServer::new(kept.clone()))
            .add_service(ByteStreamServer::new(kept.clone()));
        runtime.spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        Self { address, kept, _runtime: runtime }
    }

    pub(crate) fn seen(&self) -> Seen {
        self.kept.state().seen.clone()
    }

    /// Forgets the received requests.
    pub(crate) fn look_away(&self) {
        self.kept.state().seen = Seen::default();
    }

    /// Removes everything that it stores.
    pub(crate) fn clear(&self) {
        let mut state = self.kept.state();
        state.blobs.clear();
        state.results.clear();
        state.unfinished.clear();
    }

    /// Lists wrong chunks for every blob.
    pub(crate) fn mislead(&self, change: impl Fn(&mut Vec<Digest>)) {
        self.kept.state().layouts.values_mut().for_each(change);
    }

    /// Removes the chunks of all blobs, and keeps the blobs.
    pub(crate) fn lose_chunks(&self) {
        let mut state = self.kept.state();
        let State { blobs, layouts, .. } = &mut *state;
        layouts.values().flatten().for_each(|chunk| drop(blobs.remove(&chunk.hash)));
    }

    /// Removes blobs of this size.
    pub(crate) fn lose(&self, n_bytes: usize) {
        self.kept.state().blobs.retain(|_, blob| blob.len() != n_bytes);
    }
}

impl Kept {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn called(&self, method: &'static str) -> MutexGuard<'_, State> {
        let mut state = self.state();
        *state.seen.calls.entry(method).or_default() += 1;
        state
    }

    fn put(&self, state: &mut State, named: &str, bytes: Vec<u8>) -> Result<(), Status> {
        let found = self.abilities.checks.digest(&bytes).hash.to_string();
        if found != named {
            return Err(Status::invalid_argument(format!("expected {named}, found {found}")));
        }
        state.blobs.insert(found, bytes);
        Ok(())
    }

    fn join(&self, state: &mut State, blob: Option<&Digest>, chunks: Vec<Digest>) -> Result<(), Status> {
        let mut whole = Vec::new();
        for chunk in &chunks {
            let chunk = state.blobs.get(&chunk.hash).ok_or_else(|| Status::not_found("a chunk is gone"))?;
            whole.extend_from_slice(chunk);
        }
        self.put(state, &hash(blob), whole)?;
        state.layouts.insert(hash(blob), chunks);
        Ok(())
    }
}

impl State {
    fn layout(&mut self, blob: Option<&Digest>) -> Result<Vec<Digest>, Status> {
        self.layouts.get(&hash(blob)).cloned().ok_or_else(|| Status::not_found("never joined"))
    }
}

fn hash(digest: Option<&Digest>) -> String {
    digest.map(|digest| digest.hash.clone()).unwrap_or_default()
}

/// The hash at the end of a resource name, and whether the stream is compressed.
fn resource(name: &str) -> (String, bool) {
    let mut words = name.rsplit('/');
    let (_size, hash) = (words.next(), words.next());
    (hash.unwrap_or_default().to_owned(), name.contains("compressed-blobs/zstd"))
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<protobuf::Duration>,
}

/// The status of a server that requests a retry after a wait.
fn put_off(wait: Duration) -> Status {
    let (seconds, nanos) = (wait.as_secs() as i64, wait.subsec_nanos() as i32);
    let info = RetryInfo { retry_delay: Some(protobuf::Duration { seconds, nanos }) };
    let detail = protobuf::Any {
        type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
        value: info.encode_to_vec(),
    };
    let details = rpc::Status { details: vec![detail], ..rpc::Status::default() };
    Status::with_details(tonic::Code::Unavailable, "later", details.encode_to_vec().into())
}

#[tonic::async_trait]
impl Capabilities for Kept {
    async fn get_capabilities(
        &self,
        _: Request<GetCapabilitiesRequest>,
    ) -> Result<Response<ServerCapabilities>, Status> {
        drop(self.called("GetCapabilities"));
        let Abilities { functions, max_batch, zstd, chunks, splits, minor, takes_results, .. } =
            self.abilities.clone();
        let update = bazel_remote_apis::build::bazel::remote::execution::v2::ActionCacheUpdateCapabilities {
            update_enabled: takes_results,
        };
        let cache = CacheCapabilities {
            digest_functions: functions.into_iter().map(|function| function as i32).collect(),
            action_cache_update_capabilities: Some(update),
            max_batch_total_size_bytes: max_batch,
            supported_compressors: if zstd { vec![compressor::Value::Zstd as i32] } else { Vec::new() },
            splice_blob_support: chunks.is_some(),
            split_blob_support: splits,
            fast_cdc_2020_params: chunks
                .map(|avg_chunk_size_bytes| FastCdc2020Params { avg_chunk_size_bytes, seed: 0 }),
            ..CacheCapabilities::default()
        };
        let version = |minor| Some(SemVer { major: 2, minor, ..SemVer::default() });
        Ok(Response::new(ServerCapabilities {
            cache_capabilities: Some(cache),
            low_api_version: version(0),
            high_api_version: version(minor),
            ..ServerCapabilities::default()
        }))
    }
}

#[tonic::async_trait]
impl ActionCache for Kept {
    async fn get_action_result(
        &self,
        request: Request<GetActionResultRequest>,
    ) -> Result<Response<ActionResult>, Status> {
        let state = self.called("GetActionResult");
        if let Some(wait) = self.abilities.puts_off.filter(|_| state.seen.calls["GetActionResult"] == 1) {
            return Err(put_off(wait));
        }
        let who = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
        if self.abilities.lets_in.is_some_and(|expected| who != Some(expected)) {
            return Err(Status::unauthenticated("who is it?"));
        }
        let key = hash(request.get_ref().action_digest.as_ref());
        state.results.get(&key).cloned().map(Response::new).ok_or_else(|| Status::not_found("no such result"))
    }

    async fn update_action_result(
        &self,
        request: Request<UpdateActionResultRequest>,
    ) -> Result<Response<ActionResult>, Status> {
        let mut state = self.called("UpdateActionResult");
        let request = request.into_inner();
        let mut result = request.action_result.unwrap_or_default();
        if self.abilities.garbles && state.seen.calls["UpdateActionResult"] == 1 {
            result.output_files[0].path.push('?');
        }
        state.results.insert(hash(request.action_digest.as_ref()), result.clone());
        Ok(Response::new(result))
    }
}

#[tonic::async_trait]
impl ContentAddressableStorage for Kept {
    async fn find_missing_blobs(
        &self,
        request: Request<FindMissingBlobsRequest>,
    ) -> Result<Response<FindMissingBlobsResponse>, Status> {
        let state = self.called("FindMissingBlobs");
        let mut missing_blob_digests = request.into_inner().blob_digests;
        missing_blob_digests.retain(|digest| !state.blobs.contains_key(&digest.hash));
        Ok(Response::new(FindMissingBlobsResponse { missing_blob_digests }))
    }

    async fn batch_update_blobs(
        &self,
        request: Request<BatchUpdateBlobsRequest>,
    ) -> Result<Response<BatchUpdateBlobsResponse>, Status> {
        let mut state = self.called("BatchUpdateBlobs");
        let requests = request.into_inner().requests;
        let n_bytes = requests.iter().map(|request| request.data.len()).sum();
        state.seen.largest_batch = state.seen.largest_batch.max(n_bytes);
        state.seen.n_bytes += n_bytes;
        let mut responses = Vec::new();
        for request in requests {
            let put = self.put(&mut state, &hash(request.digest.as_ref()), request.data);
            let status = bazel_remote_apis::google::rpc::Status {
                code: put.as_ref().err().map_or(0, |status| status.code() as i32),
                message: put.err().map(|status| status.message().to_owned()).unwrap_or_default(),
                ..Default::default()
            };
            responses.push(UpdateOne { digest: request.digest, status: Some(status) });
        }
        Ok(Response::new(BatchUpdateBlobsResponse { responses }))
    }

    async fn batch_read_blobs(
        &self,
        request: Request<BatchReadBlobsRequest>,
    ) -> Result<Response<BatchReadBlobsResponse>, Status> {
        let state = self.called("BatchReadBlobs");
        let mut responses = Vec::new();
        // In reverse order, which servers may use.
        for digest in request.into_inner().digests.into_iter().rev() {
            let found = state.blobs.get(&digest.hash).cloned();
            let code = if found.is_some() { 0 } else { tonic::Code::NotFound as i32 };
            let status = bazel_remote_apis::google::rpc::Status { code, ..Default::default() };
            responses.push(ReadOne {
                digest: Some(digest),
                data: found.unwrap_or_default(),
                status: Some(status),
                ..ReadOne::default()
            });
        }
        Ok(Response::new(BatchReadBlobsResponse { responses }))
    }

    type GetTreeStream = Pin<Box<dyn Stream<Item = Result<GetTreeResponse, Status>> + Send>>;

    async fn get_tree(&self, _: Request<GetTreeRequest>) -> Result<Response<Self::GetTreeStream>, Status> {
        Err(Status::unimplemented("not implemented"))
    }

    async fn split_blob(
        &self,
        request: Request<SplitBlobRequest>,
    ) -> Result<Response<SplitBlobResponse>, Status> {
        let mut state = self.called("SplitBlob");
        let chunk_digests = state.layout(request.into_inner().blob_digest.as_ref())?;
        Ok(Response::new(SplitBlobResponse { chunk_digests, ..SplitBlobResponse::default() }))
    }

    async fn splice_blob(
        &self,
        request: Request<SpliceBlobRequest>,
    ) -> Result<Response<SpliceBlobResponse>, Status> {
        let request = request.into_inner();
        let mut state = self.called("SpliceBlob");
        self.join(&mut state, request.blob_digest.as_ref(), request.chunk_digests)?;
        Ok(Response::new(SpliceBlobResponse { blob_digest: request.blob_digest }))
    }

    type GetChunkMappingStream = Pin<Box<dyn Stream<Item = Result<GetChunkMappingResponse, Status>> + Send>>;

    async fn get_chunk_mapping(
        &self,
        request: Request<GetChunkMappingRequest>,
    ) -> Result<Response<Self::GetChunkMappingStream>, Status> {
        let mut state = self.called("GetChunkMapping");
        let chunks = state.layout(request.into_inner().blob_digest.as_ref())?;
        let answers: Vec<_> = chunks
            .chunks(7)
            .map(|chunks| {
                Ok(GetChunkMappingResponse {
                    chunk_digests: chunks.to_vec(),
                    ..GetChunkMappingResponse::default()
                })
            })
            .collect();
        Ok(Response::new(Box::pin(tokio_stream::iter(answers))))
    }

    async fn register_chunk_mapping(
        &self,
        request: Request<Streaming<RegisterChunkMappingRequest>>,
    ) -> Result<Response<RegisterChunkMappingResponse>, Status> {
        let mut messages = request.into_inner();
        let (mut blob_digest, mut chunks) = (None, Vec::new());
        while let Some(message) = messages.next().await {
            let message = message?;
            blob_digest = blob_digest.or(message.blob_digest);
            chunks.extend(message.chunk_digests);
        }
        self.join(&mut self.called("RegisterChunkMapping"), blob_digest.as_ref(), chunks)?;
        Ok(Response::new(RegisterChunkMappingResponse { blob_digest }))
    }
}

#[tonic::async_trait]
impl ByteStream for Kept {
    type ReadStream = Pin<Box<dyn Stream<Item = Result<ReadResponse, Status>> + Send>>;

    async fn read(&self, request: Request<ReadRequest>) -> Result<Response<Self::ReadStream>, Status> {
        let mut state = self.called("Read");
        let request = request.into_inner();
        let (hash, is_compressed) = resource(&request.resource_name);
        state.seen.resources.push(request.resource_name);
        let blob = state.blobs.get(&hash).ok_or_else(|| Status::not_found("no such blob"))?;
        let rest =
            blob.get(request.read_offset as usize..).ok_or_else(|| Status::out_of_range("past the end"))?;
        let bytes = if is_compressed { zstd::stream::encode_all(rest, 3)? } else { rest.to_vec() };
        let messages: Vec<Result<ReadResponse, Status>> =
            bytes.chunks(MESSAGE).map(|data| Ok(ReadResponse { data: data.to_vec() })).collect();
        Ok(Response::new(Box::pin(tokio_stream::iter(messages))))
    }

    async fn write(
        &self,
        request: Request<Streaming<WriteRequest>>,
    ) -> Result<Response<WriteResponse>, Status> {
        drop(self.called("Write"));
        let mut messages = request.into_inner();
        let (mut name, mut bytes) = (String::new(), Vec::new());
        while let Some(message) = messages.next().await {
            let message = message?;
            let mut state = self.state();
            if name.is_empty() {
                name = message.resource_name;
                state.seen.resources.push(name.clone());
                if self.abilities.resumes {
                    bytes = state.unfinished.remove(&name).unwrap_or_default();
                }
            }
            if message.write_offset != bytes.len() as i64 {
                return Err(Status::invalid_argument(format!("expected offset {}", bytes.len())));
            }
            state.seen.n_bytes += message.data.len();
            bytes.extend_from_slice(&message.data);
            if self.abilities.resumes {
                state.unfinished.insert(name.clone(), bytes.clone());
            }
            if message.finish_write {
                let n_taken = bytes.len() as i64;
                let (hash, is_compressed) = resource(&name);
                let plain = if is_compressed { zstd::stream::decode_all(&bytes[..])? } else { bytes };
                self.put(&mut state, &hash, plain)?;
                return Ok(Response::new(WriteResponse { committed_size: n_taken }));
            }
        }
        Err(Status::invalid_argument("the stream ended before its end"))
    }

    async fn query_write_status(
        &self,
        request: Request<QueryWriteStatusRequest>,
    ) -> Result<Response<QueryWriteStatusResponse>, Status> {
        let state = self.called("QueryWriteStatus");
        if !self.abilities.resumes {
            return Err(Status::unimplemented("not here"));
        }
        let committed = state.unfinished.get(&request.get_ref().resource_name).map_or(0, Vec::len);
        Ok(Response::new(QueryWriteStatusResponse { committed_size: committed as i64, complete: false }))
    }
}
